import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { requestOf } from './decide.testing.ts';
import { normalized } from './registration.ts';

/** Letters and digits, as the catalog takes them in terms' ids and in class numbers. */
const word = fc.stringMatching(/^[0-9A-Za-z]{1,16}$/);

function asked(...adds: string[]) {
  return () => normalized(requestOf('anna', { registrationId: randomUUID(), adds }));
}

test('sections of two terms are refused, whatever their class numbers look like', () => {
  expect(asked('FA24-A1', 'SP25-B2')).toThrow(expect.objectContaining({ code: Code.InvalidArgument }));
  const terms = fc.uniqueArray(word, { minLength: 2, maxLength: 2 });
  fc.assert(
    fc.property(terms, word, word, ([one, other], first, second) => {
      expect(asked(`${one}-${first}`, `${other}-${second}`)).toThrow('a registration is for one term');
    }),
  );
});

test('sections of one term are accepted, whatever their class numbers look like', () => {
  const numbers = fc.uniqueArray(word, { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(word, numbers, (term, all) => {
      expect(asked(...all.map((number) => `${term}-${number}`))).not.toThrow();
    }),
  );
});
