import { expect, test } from 'vitest';
import { Day, type Meeting } from '#proto/catalog/v1/catalog';
import { dated, weekly } from './decide.testing.ts';
import { collide, occurrencesOf } from './timetable.ts';

// 2026-11-24 is a Tuesday, 2026-11-29 a Sunday.
const TUESDAY = '2026-11-24';
const tuesdayLecture = weekly([Day.TUESDAY, Day.THURSDAY], '09:30', '10:50');
const final = dated('2026-12-08', '09:30', '12:30', 'final');

function collision(one: Meeting, other: Meeting): boolean {
  const there = collide(occurrencesOf([one]), occurrencesOf([other]));
  const back = collide(occurrencesOf([other]), occurrencesOf([one]));
  expect(back, 'a collision is mutual').toBe(there);
  return there;
}

test.each([
  ['the same day and time', weekly([Day.THURSDAY], '09:30', '10:50'), true],
  ['a meeting that begins within', weekly([Day.TUESDAY], '10:49', '11:00'), true],
  ['a meeting inside', weekly([Day.TUESDAY], '10:00', '10:10'), true],
  ['a meeting that begins as it ends', weekly([Day.TUESDAY], '10:50', '12:00'), false],
  ['a meeting that ends as it begins', weekly([Day.TUESDAY], '08:00', '09:30'), false],
  ['the same time on another day', weekly([Day.MONDAY, Day.WEDNESDAY], '09:30', '10:50'), false],
  ['a midterm on that weekday', dated(TUESDAY, '10:00', '11:00'), true],
  ['a midterm on another weekday', dated('2026-11-25', '10:00', '11:00'), false],
  ['a midterm on a Sunday', dated('2026-11-29', '10:00', '11:00'), false],
  ['a midterm later that day', dated(TUESDAY, '18:00', '19:30'), false],
  ['a final on that weekday, when lectures are over', final, false],
])('a Tuesday lecture against %s', (_case, other, expected) => {
  expect(collision(tuesdayLecture, other)).toBe(expected);
});

test.each([
  ['a final at the same time', dated('2026-12-08', '12:00', '15:00', 'final'), true],
  ['a final the day after', dated('2026-12-09', '09:30', '12:30', 'final'), false],
  ['a midterm on that date', dated('2026-12-08', '09:00', '10:00'), true],
  ['a final that begins as it ends', dated('2026-12-08', '12:30', '15:30', 'final'), false],
])('a final against %s', (_case, other, expected) => {
  expect(collision(final, other)).toBe(expected);
});

test('two midterms on different dates do not collide, though their weekdays are the same', () => {
  expect(collision(dated(TUESDAY, '18:00', '20:00'), dated('2026-12-01', '18:00', '20:00'))).toBe(false);
});

test('a Sunday midterm collides with a Sunday meeting', () => {
  expect(collision(dated('2026-11-29', '10:00', '11:00'), weekly([Day.SUNDAY], '10:30', '12:00'))).toBe(true);
});

test('what is yet to be arranged collides with nothing', () => {
  const arranged = weekly([], '09:30', '10:50');
  const untimed = weekly([Day.TUESDAY], '', '');
  expect(occurrencesOf([arranged, untimed])).toEqual([]);
});
