import { expect, test } from 'vitest';
import { randomFrom } from './random.ts';
import { nextWish, type Section, tasteOf } from './wish.ts';

const HOURS = 8;

/** Forty sections, two of each course; neighbours overlap. */
const sections = Array.from({ length: 40 }, (_, index): Section => {
  const hour = String(9 + (index % HOURS)).padStart(2, '0');
  const id = `SP27-${index}`;
  return {
    id,
    term: 'SP27',
    course: { id: `C${index % 20}`, code: `C ${index % 20}`, title: 'A course', credits: 4 },
    code: 'A01',
    instructors: [],
    meetings: [{ kind: 'lecture', days: ['monday'], startsAt: `${hour}:00`, endsAt: `${hour}:50`, room: '' }],
    capacity: 30,
    seatsTaken: 0,
    seatsLeft: 30,
    waitlisted: 0,
    waitlistCapacity: 5,
    fee: { amount: 0, currency: 'USD' },
    status: 'open',
    asOf: null,
  };
});

function wishesFrom(seed: number, count = 300) {
  const random = randomFrom(seed);
  const taste = tasteOf(sections, random);
  return Array.from({ length: count }, () => nextWish(taste, random));
}

test('the same seed makes the same wishes, another one makes others', () => {
  expect(wishesFrom(7)).toEqual(wishesFrom(7));
  expect(wishesFrom(8)).not.toEqual(wishesFrom(7));
});

test('everybody wishes for three to five different courses', () => {
  for (const { adds = [] } of wishesFrom(1)) {
    const courses = adds.map(({ sectionId }) => sections.find(({ id }) => id === sectionId)?.course.id);
    expect(adds.length).toBeGreaterThanOrEqual(3);
    expect(adds.length).toBeLessThanOrEqual(5);
    expect(new Set(courses).size).toBe(adds.length);
  }
});

test('some sections are wanted by many, and of all kinds of wishes there are some', () => {
  const wishes = wishesFrom(1);
  const asked = new Map<string, number>();
  for (const { sectionId } of wishes.flatMap(({ adds = [] }) => adds)) {
    asked.set(sectionId, (asked.get(sectionId) ?? 0) + 1);
  }
  const counts = [...asked.values()].sort((one, other) => other - one);
  expect(counts[0]).toBeGreaterThan(5 * (counts[20] ?? 0));
  const cards = new Set(wishes.map(({ paymentMethod }) => paymentMethod));
  expect(cards.size).toBe(6);
  expect(new Set(wishes.map(({ mode }) => mode))).toEqual(new Set(['each', 'all-or-nothing']));
  expect(new Set(wishes.map(({ materials }) => materials))).toEqual(new Set(['buy', 'none']));
});

test('few students overlook that meetings overlap', () => {
  const overlapping = wishesFrom(1).filter(({ adds = [] }) => {
    const hours = adds.map(({ sectionId }) => Number(sectionId.slice('SP27-'.length)) % HOURS);
    return new Set(hours).size < hours.length;
  });
  expect(overlapping.length).toBeGreaterThan(0);
  expect(overlapping.length).toBeLessThan(60);
});
