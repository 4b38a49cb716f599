import { expect, test } from 'vitest';
import { MalformedToken, NO_TOKEN, parseToken } from './token.ts';

test('a token names positions of services, the larger one where a service comes twice', () => {
  expect(parseToken('enrollment:12, billing:3,enrollment:9')).toEqual(
    new Map([
      ['enrollment', 12n],
      ['billing', 3n],
    ]),
  );
});

test('nothing is no token', () => {
  expect(parseToken(undefined)).toBe(NO_TOKEN);
  expect(parseToken(' ')).toBe(NO_TOKEN);
});

test.each([
  'enrollment',
  'enrollment:',
  'enrollment:-1',
  'enrollment:1x',
  'nobody:1',
  ':1',
  ',',
  'billing:1,,',
  'a'.repeat(501),
])('%j is refused', (text) => {
  expect(() => parseToken(text)).toThrow(MalformedToken);
});
