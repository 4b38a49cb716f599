import { Code } from '@connectrpc/connect';
import { expect, test } from 'vitest';
import { isDate, isTimeZone, pageLength } from './argument.ts';

test.each([
  [0, 100],
  [1, 1],
  [500, 500],
  [501, 500],
])('of a page of %i there are %i at most', (limit, length) => {
  expect(pageLength(limit, { max: 500, standard: 100 })).toBe(length);
});

test('a page of fewer than none is malformed', () => {
  const malformed = expect.objectContaining({ code: Code.InvalidArgument, rawMessage: 'limit: must not be negative' });
  expect(() => pageLength(-1, { max: 500, standard: 100 })).toThrow(malformed);
});

test('a date is a day that exists, and a time zone one that is known', () => {
  expect(['2028-02-29', '0001-01-01'].map(isDate)).toEqual([true, true]);
  expect(['2027-02-29', '2027-2-1', '0000-01-01', 'soon', ''].filter(isDate)).toEqual([]);
  expect(['America/New_York', 'UTC', 'Mars/Olympus', ''].map(isTimeZone)).toEqual([true, true, false, false]);
});
