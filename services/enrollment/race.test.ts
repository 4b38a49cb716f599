import { randomUUID } from 'node:crypto';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '#lib/database';
import { Day } from '#proto/catalog/v1/catalog';
import { Outcome, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { Campus, newStudent, newStudents, outcomesOf, requestFrom } from './campus.testing.ts';

const CROWD = 50;

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open(2);
});
afterAll(async () => {
  expect(await campus.faults()).toEqual([]);
  await campus.close();
});

/** The race itself, whatever it is that takes a seat: everybody asks at once, and it answers how many were told yes. */
async function crowdAsks(ask: (student: string, n: number) => Promise<boolean>): Promise<number> {
  const answers = await Promise.all(newStudents(CROWD).map(ask));
  return answers.filter(Boolean).length;
}

test.each([
  ['one instance', 1],
  ['two instances on one database', 2],
])('one seat goes to exactly one of fifty students who ask %s at once', async (_case, instances) => {
  const section = await campus.section();

  const winners = await crowdAsks(async (student, n) => {
    const registration = await campus.register(student, { adds: [section] }, { instance: n % instances });
    return registration.status === Status.PENDING;
  });

  expect(winners).toBe(1);
  expect(await campus.seats(section)).toEqual({ taken: 1, waitlisted: 0 });
});

test('the same crowd oversells a seat that is checked first and taken then: the race above is real', async () => {
  await campus.query('create table naive_seats (student_id text primary key)');
  const pool = campus.pool;
  const { promise: bothLooked, resolve } = Promise.withResolvers<void>();
  let looked = 0;

  const winners = await crowdAsks((student) =>
    inTransaction(pool, { timeoutMs: undefined }, async (query) => {
      if ((await query('select from naive_seats')).length > 0) return false;
      if (++looked === 2) resolve();
      await bothLooked;
      await query('insert into naive_seats values ($1)', [student]);
      return true;
    }),
  );

  expect(winners).toBeGreaterThan(1);
});

test('thirty seats go to exactly thirty of fifty, and twenty wait in an order without ties', async () => {
  const section = await campus.section({ capacity: 30, waitlistCapacity: 50 });
  const positions: number[] = [];

  const winners = await crowdAsks(async (student, n) => {
    const { items } = await campus.register(student, { adds: [section], orWaitlist: true }, { instance: n % 2 });
    if (items[0]?.outcome === Outcome.WAITLISTED) positions.push(items[0].waitlistPosition);
    return items[0]?.outcome === Outcome.RESERVED;
  });

  expect(winners).toBe(30);
  expect(positions.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
});

test('a student in two tabs gets a section once', async () => {
  const section = await campus.section({ capacity: 9 });
  const student = newStudent();

  const tabs = await Promise.all([0, 1].map((instance) => campus.register(student, { adds: [section] }, { instance })));

  expect(tabs.flatMap(outcomesOf).sort()).toEqual([Outcome.RESERVED, Outcome.REFUSED].sort());
  expect(await campus.seats(section)).toMatchObject({ taken: 1 });
});

test('a student in two tabs gets one of two sections that meet at once', async () => {
  const meetings = [{ kind: 'lecture', days: [Day.FRIDAY], startsAt: '14:00', endsAt: '15:00' }];
  const sections = await campus.sections(2, { capacity: 9, meetings });
  const student = newStudent();

  const tabs = await Promise.all(
    sections.map((section, instance) => campus.register(student, { adds: [section] }, { instance })),
  );

  expect(tabs.flatMap(({ items }) => items.map(({ reason }) => reason)).sort()).toEqual(['', 'time-conflict']);
  expect(Object.keys(await campus.places(student))).toHaveLength(1);
});

test('a student in many tabs never gets more credits than the limit', async () => {
  const sections = await Promise.all(Array.from({ length: 8 }, () => campus.section({ capacity: 9, credits: 5 })));
  const student = newStudent();

  await Promise.all(sections.map((section, n) => campus.register(student, { adds: [section] }, { instance: n % 2 })));

  // Four sections of five credits fit into 22.
  expect(Object.keys(await campus.places(student))).toHaveLength(4);
});

test('the same registration sent fifty times at once is one registration with fifty equal answers', async () => {
  const sections = await campus.sections(3, { capacity: 9 });
  const student = newStudent();
  const wish = { registrationId: randomUUID(), adds: sections };

  const answers = await Promise.all(
    Array.from({ length: CROWD }, (_, n) => campus.register(student, wish, { instance: n % 2 })),
  );

  for (const answer of answers) expect(answer).toEqual(answers[0]);
  expect(await campus.told(wish.registrationId)).toEqual(['RegistrationDecided']);
  for (const section of sections) expect(await campus.seats(section)).toMatchObject({ taken: 1 });
});

test('an id that two students use at once belongs to one of them, and tells the other nothing', async () => {
  const [hers, his] = await campus.sections(2, { capacity: 9 });
  const registrationId = randomUUID();
  const [anna, ben] = [newStudent(), newStudent()];
  const asks = [
    { student: anna, wish: { registrationId, adds: [hers ?? ''] } },
    { student: ben, wish: { registrationId, adds: [his ?? ''] } },
  ];

  const answers = await Promise.allSettled(
    asks.map(({ student, wish }, instance) => campus.register(student, wish, { instance })),
  );

  const [refused] = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(refused).toBeInstanceOf(ConnectError);
  expect(refused).toMatchObject({ code: Code.AlreadyExists, details: [] });
  expect(refused.message).not.toMatch(new RegExp(`${anna}|${ben}|${hers}|${his}`));
});

test('other content under the same id is turned down, and the first answer stands', async () => {
  const [first, second] = await campus.sections(2);
  const student = newStudent();
  const request = requestFrom(student, { adds: [first ?? ''] });
  const before = await campus.register(student, { registrationId: request.registrationId, adds: [first ?? ''] });

  const again = campus.register(student, { registrationId: request.registrationId, adds: [second ?? ''] });

  await expect(again).rejects.toMatchObject({ code: Code.AlreadyExists });
  expect(await campus.registration(request.registrationId)).toEqual(before);
});
