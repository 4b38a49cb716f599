import { expect, test } from 'vitest';
import { currentTerm } from './current-term.ts';

const terms = [
  { id: 'FA26', timeZone: 'America/Los_Angeles', endsOn: '2026-12-12' },
  { id: 'SP27', timeZone: 'America/Los_Angeles', endsOn: '2027-06-11' },
];

test.each([
  ['the morning of its last day', '2026-12-12T17:00:00Z', 'FA26'],
  ['its last evening, when it is tomorrow in Greenwich', '2026-12-13T06:00:00Z', 'FA26'],
  ['the midnight after', '2026-12-13T08:00:00Z', 'SP27'],
  ['a day after all terms', '2028-01-01T00:00:00Z', 'SP27'],
])('a term is the current one by the date on its campus: %s', (_when, now, id) => {
  expect(currentTerm(terms, new Date(now))?.id).toBe(id);
});

test('without terms none is the current one', () => {
  expect(currentTerm([], new Date(0))).toBeUndefined();
});
