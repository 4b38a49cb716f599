import ICAL from 'ical.js';
import { expect, test } from 'vitest';
import { calendarOf } from './calendar.ts';

type Entry = Parameters<typeof calendarOf>[0][number];
type Meeting = Entry['section']['meetings'][number];

const AT = new Date('2026-11-21T10:00:00Z');
const term = { id: 'FA26', timeZone: 'America/Los_Angeles', startsOn: '2026-09-22', endsOn: '2026-12-12' };

const lecture: Meeting = {
  kind: 'lecture',
  days: ['monday', 'wednesday'],
  startsAt: '10:00',
  endsAt: '10:50',
  room: 'Hall 1, north; left',
};

function entry(difference: { meetings?: Meeting[]; outcome?: Entry['outcome']; status?: Entry['section']['status'] }) {
  const { meetings = [lecture], outcome = 'enrolled', status = 'open' } = difference;
  const course = { id: 'CSE-101', code: 'CSE 101', title: 'Algorithms', credits: 4 };
  const seats = { capacity: 30, seatsTaken: 1, seatsLeft: 29, waitlisted: 0, waitlistCapacity: 5, asOf: null };
  const section = {
    id: 'FA26-1',
    term: term.id,
    course,
    code: 'A01',
    instructors: ['Ada Lovelace'],
    meetings,
    ...seats,
  };
  const fee = { amount: 0, currency: 'USD' };
  return { registrationId: 'b0f5b1ae-0b62-4a6f-8b4e-5a3d0c3a4b51', outcome, section: { ...section, fee, status } };
}

/** As a calendar program reads it. */
function read(text: string) {
  const calendar = new ICAL.Component(ICAL.parse(text));
  for (const zone of calendar.getAllSubcomponents('vtimezone')) ICAL.TimezoneService.register(zone);
  return calendar.getAllSubcomponents('vevent').map((component) => new ICAL.Event(component));
}

function only(difference: Parameters<typeof entry>[0], at = term) {
  const [event] = read(calendarOf([entry(difference)], [at], AT));
  if (!event) throw new Error('an event was expected');
  return event;
}

/** Every instant of an event, as UTC. */
function instantsOf(event: ICAL.Event): string[] {
  const iterator = event.iterator();
  const instants: string[] = [];
  for (let next = iterator.next(); next; next = iterator.next()) instants.push(next.toJSDate().toISOString());
  return instants;
}

test('a weekly meeting takes place on its days from the first to the last day of the term, through the change of clocks', () => {
  const instants = instantsOf(only({}));

  expect(instants[0]).toBe('2026-09-23T17:00:00.000Z'); // a Wednesday: the term starts on a Tuesday
  expect(instants).toContain('2026-10-28T17:00:00.000Z');
  expect(instants).toContain('2026-11-02T18:00:00.000Z'); // clocks were set back on the first of November
  expect(instants.at(-1)).toBe('2026-12-09T18:00:00.000Z');
  expect(instants).toHaveLength(23);
});

test('a meeting late on the last day of the term takes place, and none on the day after', () => {
  const late: Meeting = { ...lecture, days: ['saturday', 'sunday'], startsAt: '22:00', endsAt: '23:00' };
  expect(instantsOf(only({ meetings: [late] })).at(-1)).toBe('2026-12-13T06:00:00.000Z'); // Saturday the 12th
});

test('a meeting on Sundays begins on the first Sunday of the term', () => {
  const instants = instantsOf(only({ meetings: [{ ...lecture, days: ['sunday'] }] }));
  expect(instants[0]).toBe('2026-09-27T17:00:00.000Z');
  expect(instants).toHaveLength(11);
});

test('a final takes place once', () => {
  const final: Meeting = {
    ...lecture,
    kind: 'final',
    days: [],
    date: '2026-12-10',
    startsAt: '08:00',
    endsAt: '11:00',
  };
  const event = only({ meetings: [final] });
  expect(event.isRecurring()).toBe(false);
  expect(event.summary).toBe('CSE 101 final');
  expect(event.startDate.toJSDate().toISOString()).toBe('2026-12-10T16:00:00.000Z');
  expect(event.endDate.toJSDate().toISOString()).toBe('2026-12-10T19:00:00.000Z');
});

test('a meeting that is yet to be arranged, or on no day of its term, is left out', () => {
  const unarranged: Meeting = { ...lecture, days: [], startsAt: null, endsAt: null };
  expect(read(calendarOf([entry({ meetings: [unarranged] })], [term], AT))).toEqual([]);
  const oneDay = { ...term, endsOn: term.startsOn };
  expect(read(calendarOf([entry({})], [oneDay], AT))).toEqual([]);
});

test.each([
  [{ outcome: 'enrolled' }, 'CONFIRMED', 'OPAQUE', 'CSE 101 lecture'],
  [{ outcome: 'reserved' }, 'TENTATIVE', 'OPAQUE', 'CSE 101 lecture'],
  [{ outcome: 'waitlisted' }, 'TENTATIVE', 'TRANSPARENT', 'CSE 101 lecture (waitlisted)'],
  [{ outcome: 'enrolled', status: 'cancelled' }, 'CANCELLED', 'OPAQUE', 'CSE 101 lecture'],
] as const)('%o stands there as %s', (difference, status, transparency, summary) => {
  const event = only(difference);
  expect(event.component.getFirstPropertyValue('status')).toBe(status);
  expect(event.component.getFirstPropertyValue('transp')).toBe(transparency);
  expect(event.summary).toBe(summary);
});

test('it says what, where and with whom, whatever characters that takes', () => {
  const event = only({});
  expect(event.location).toBe('Hall 1, north; left');
  expect(event.description).toBe('Algorithms\nFA26-1\nAda Lovelace');
});

test('each meeting is the same event in every answer', () => {
  const uidsOf = (at: Date) =>
    read(calendarOf([entry({ meetings: [lecture, lecture] })], [term], at)).map(({ uid }) => uid);
  const uids = uidsOf(AT);
  expect(new Set(uids).size).toBe(2);
  expect(uidsOf(new Date())).toEqual(uids);
});

test('lines are as RFC 5545 wants them: ended by CRLF, and at most 75 octets long', () => {
  const text = calendarOf([entry({ meetings: [{ ...lecture, room: 'ü'.repeat(100) }] })], [term], AT);
  expect(text.endsWith('END:VCALENDAR\r\n')).toBe(true);
  const lines = text.slice(0, -2).split('\r\n');
  expect(lines.some((line) => line.includes('\n'))).toBe(false);
  for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75);
});

test('every time zone that this machine knows is described, and one that nobody describes keeps its local hours', () => {
  for (const timeZone of Intl.supportedValuesOf('timeZone'))
    expect(calendarOf([entry({})], [{ ...term, timeZone }], AT), timeZone).toContain('BEGIN:VTIMEZONE');

  const floating = calendarOf([entry({})], [{ ...term, timeZone: '+05:30' }], AT);
  expect(floating).not.toContain('VTIMEZONE');
  expect(floating).toContain('DTSTART:20260923T100000\r\n');
  expect(floating).toContain('UNTIL=20261212T235959\r\n');
});

test('two terms of one campus describe its time zone once', () => {
  const text = calendarOf([entry({})], [term, { ...term, id: 'SP27' }], AT);
  expect(text.split('BEGIN:VTIMEZONE')).toHaveLength(2);
});
