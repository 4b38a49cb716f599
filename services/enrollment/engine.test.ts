import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, tokenOf } from '#lib/testing';
import { Outcome } from '#proto/enrollment/v1/registration';
import { Campus, newStudent, newStudents, outcomesOf, requestFrom } from './campus.testing.ts';

const BATCH_MAX = 64;
const QUEUE_MAX = 4_000;

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open();
});
afterAll(async () => {
  expect(await campus.faults()).toEqual([]);
  await campus.close();
});

/** Keeps everybody from deciding about the section while `body` runs, as a slow transaction of somebody else would. */
async function whileLocked<T>(section: string, body: (unlock: () => Promise<void>) => Promise<T>): Promise<T> {
  const { connectionString } = campus.pool.options;
  const other = new pg.Client({ connectionString });
  await other.connect();
  try {
    await other.query('begin');
    await other.query('select from sections where id = $1 for update', [section]);
    return await body(async () => {
      await other.query('rollback');
    });
  } finally {
    await other.end();
  }
}

/** How many statements of ours wait for a lock. */
async function waitingStatements(): Promise<number> {
  const rows = await campus.query(
    "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  );
  return rows.length;
}

/** Occupies both batches that may be in flight with registrations for a locked section. */
async function occupy(section: string, timeoutMs: number): Promise<Promise<unknown>[]> {
  const calls: Promise<unknown>[] = [];
  for (const student of newStudents(2)) {
    const busy = calls.length;
    calls.push(campus.register(student, { adds: [section] }, { timeoutMs }).catch((error: unknown) => error));
    await eventually(async () => (await waitingStatements()) > busy, { what: 'a batch that waits for the lock' });
  }
  return calls;
}

test('many requests at once share batches, and each gets its own answer', async () => {
  const sections = await campus.sections(4, { capacity: 30 });
  const students = newStudents(100);

  const answers = await Promise.all(
    students.map((student, n) => campus.register(student, { adds: sections.slice(n % 4) })),
  );

  for (const [n, answer] of answers.entries()) {
    expect(answer.studentId).toBe(students[n]);
    expect(answer.items).toHaveLength(4 - (n % 4));
  }
  for (const section of sections) expect((await campus.seats(section)).taken).toBeLessThanOrEqual(30);
});

test('one bad request of a batch fails alone', async () => {
  const [section] = await campus.sections(1, { capacity: 90 });
  const clash = randomUUID();
  const students = newStudents(40);
  // Two students under one id, and a section id that no text column takes: each breaks the whole statement.
  const wishes = students.map((_, n) => {
    if (n === 10 || n === 20) return { registrationId: clash, adds: [section ?? ''] };
    return { adds: [n === 30 ? 'T1-\0' : (section ?? '')] };
  });

  const answers = await Promise.allSettled(students.map((student, n) => campus.register(student, wishes[n] ?? {})));

  const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [Code[answer.reason.code]] : []));
  expect(failures.sort()).toEqual(['AlreadyExists', 'InvalidArgument']);
  expect(await campus.seats(section ?? '')).toMatchObject({ taken: 38 });
});

test('a student’s requests are decided in the order in which they came', async () => {
  const sections = await campus.sections(2, { capacity: 9 });
  const student = newStudent();
  const token = await tokenOf(student, 'student');
  const [first = '', second = ''] = sections;
  const wishes = [{ adds: [first] }, { adds: [first, second] }, { adds: [second] }];

  const { answers } = await campus.client().registerMany({
    entries: wishes.map((wish) => ({ accessToken: token, request: requestFrom(student, wish), traceparent: '' })),
  });

  const outcomes = answers.map(({ result }) => {
    const registration = result.case === 'response' ? result.value.registration : undefined;
    return registration && outcomesOf(registration);
  });
  expect(outcomes).toEqual([[Outcome.RESERVED], [Outcome.REFUSED, Outcome.RESERVED], [Outcome.REFUSED]]);
});

test('a deadline ends the call and its statement in the database', async () => {
  const section = await campus.section();
  const student = newStudent();

  await whileLocked(section, async () => {
    const call = campus.register(student, { adds: [section] }, { timeoutMs: 300 });
    await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    await eventually(async () => (await waitingStatements()) === 0, { what: 'no statement left behind' });
  });

  expect(await campus.places(student)).toEqual({});
});

test('who waits no longer is not decided any more', async () => {
  const [locked, free] = await campus.sections(2, { capacity: 9 });
  const [late, patient] = newStudents(2);

  const { busy, waiting } = await whileLocked(locked ?? '', async (unlock) => {
    const busy = await occupy(locked ?? '', 20_000);
    const call = campus.register(late ?? '', { adds: [free ?? ''] }, { timeoutMs: 200 });
    await expect(call).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    const waiting = campus.register(patient ?? '', { adds: [free ?? ''] }, { timeoutMs: 20_000 });
    await unlock();
    return { busy, waiting };
  });
  await Promise.all(busy);
  await waiting;

  expect(await campus.places(late ?? '')).toEqual({});
  expect(await campus.places(patient ?? '')).toEqual({ [free ?? '']: 'reserved' });
});

/** Fills the queue with requests that give up soon, and answers the failures of one more call. */
async function overflow(locked: string, free: string): Promise<string[]> {
  const student = newStudent();
  const accessToken = await tokenOf(student, 'student');
  const entries = () =>
    Array.from({ length: BATCH_MAX }, () => ({
      accessToken,
      request: requestFrom(student, { adds: [free] }),
      traceparent: '',
    }));
  return whileLocked(locked, async (unlock) => {
    const busy = await occupy(locked, 30_000);
    const filling = Array.from({ length: Math.ceil(QUEUE_MAX / BATCH_MAX) }, () =>
      campus.client().registerMany({ entries: entries() }, { timeoutMs: 1_000 }),
    );
    await Promise.allSettled(filling);
    const { answers } = await campus.client().registerMany({ entries: entries() }, { timeoutMs: 30_000 });
    await unlock();
    await Promise.all(busy);
    return answers.flatMap(({ result }) => (result.case === 'failure' ? [Code[result.value.code] ?? ''] : []));
  });
}

test('a full queue turns further requests away, and serves again when it has emptied', async () => {
  const [locked = '', free = ''] = await campus.sections(2, { capacity: 9 });

  // The database ends a batch that is kept from deciding for too long, so a slow machine may need another try.
  const failures = await eventually(
    async () => {
      const failures = await overflow(locked, free);
      return failures.length > 0 && failures;
    },
    { what: 'a request turned away' },
  );

  expect(new Set(failures)).toEqual(new Set(['ResourceExhausted']));
  expect(outcomesOf(await campus.register(newStudent(), { adds: [free] }))).toEqual([Outcome.RESERVED]);
});
