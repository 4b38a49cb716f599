import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Materials, Mode } from '#proto/enrollment/v1/registration';
import type { RegisterRequest } from '#proto/enrollment/v1/service';
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

function request(): RegisterRequest {
  return requestOf('anna', { registrationId: randomUUID(), adds: ['T1-1'] });
}

test.each<[string, Partial<RegisterRequest>]>([
  ['a student id that is too long', { studentId: 'x'.repeat(101) }],
  ['a section to drop with an id that is too long', { drops: ['x'.repeat(101)] }],
  ['a section to drop without an id', { drops: [''] }],
  ['a section to drop with a control character', { drops: ['T1-\u0007'] }],
  ['a payment method that is too long', { paymentMethod: 'x'.repeat(201) }],
  ['a payment method with a control character', { paymentMethod: '\0' }],
  ['a mode that nobody has a word for', { mode: 99 as Mode }], // as it may come over the wire
  ['materials that nobody has a word for', { materials: 99 as Materials }], // the same
])('a request with %s is refused', (_case, fault) => {
  expect(() => normalized({ ...request(), ...fault })).toThrow(expect.objectContaining({ code: Code.InvalidArgument }));
});

test('a section to add with an id that is too long is refused', () => {
  expect(asked('T1-'.padEnd(101, 'x'))).toThrow(expect.objectContaining({ code: Code.InvalidArgument }));
});

test('what a request leaves open is filled in', () => {
  expect(normalized(request())).toMatchObject({ mode: Mode.EACH, materials: Materials.NONE });
});
