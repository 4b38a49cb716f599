import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LogHead } from '#lib/event-log';
import { toConnectError } from '#lib/interceptors';
import { eventually, tokenOf } from '#lib/testing';
import { Outcome } from '#proto/enrollment/v1/registration';
import { Campus, newStudent, newStudents, outcomesOf, requestFrom } from './campus.testing.ts';
import { type Ask, Engine } from './engine.ts';
import { FactsCache } from './facts.ts';

/** Longer than any machine takes. */
const PATIENCE_MS = 60_000;

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

/** An engine of its own on the campus's database. */
function engineWith(options: { queueMax?: number } = {}): Engine {
  return new Engine({ pool: campus.pool, cache: new FactsCache(), head: new LogHead(campus.query), ...options });
}

function askFor(section: string, deadline: number): Ask {
  const student = newStudent();
  return { request: requestFrom(student, { adds: [section] }), actor: student, traceparent: '', deadline };
}

/** In how many transactions these were decided. */
async function transactionsOf(asks: Ask[]): Promise<number> {
  const ids = asks.map(({ request }) => request.registrationId);
  const rows = await campus.query('select distinct xmin::text from events where subject = any($1)', [ids]);
  return rows.length;
}

test('one bad request of a batch fails alone, and the others share transactions still', async () => {
  const [section = ''] = await campus.sections(1, { capacity: 90 });
  const asks = Array.from({ length: 64 }, (_, n) => askFor(n === 30 ? 'T1-\0' : section, Date.now() + PATIENCE_MS));
  const engine = engineWith();

  const answers = await Promise.allSettled(asks.map((ask) => engine.register(ask)));

  const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [toConnectError(answer.reason)] : []));
  expect(failures.map(({ code }) => Code[code])).toEqual(['InvalidArgument']);
  expect(await campus.seats(section)).toMatchObject({ taken: 63 });
  // Halved six times until it was alone, and each time the other half was decided at once.
  expect(await transactionsOf(asks)).toBe(6);
});

test('two students under one id: the first is answered, and nobody else notices', async () => {
  const [section = ''] = await campus.sections(1, { capacity: 90 });
  const asks = Array.from({ length: 40 }, () => askFor(section, Date.now() + PATIENCE_MS));
  const [one, other] = [asks[10], asks[20]];
  if (one && other) other.request.registrationId = one.request.registrationId;
  const engine = engineWith();

  const answers = await Promise.allSettled(asks.map((ask) => engine.register(ask)));

  expect(answers.map(({ status }) => status).indexOf('rejected')).toBe(20);
  expect(answers[20]).toMatchObject({ reason: { code: Code.AlreadyExists } });
  expect(await campus.seats(section)).toMatchObject({ taken: 39 });
  expect(await transactionsOf(asks)).toBe(1);
});

test('who waits no longer is not decided any more', async () => {
  const [section = ''] = await campus.sections(1, { capacity: 9 });
  const late = askFor(section, Date.now() - 1);
  const patient = askFor(section, Date.now() + PATIENCE_MS);
  const engine = engineWith();

  const [lateAnswer, patientAnswer] = await Promise.allSettled([engine.register(late), engine.register(patient)]);

  expect(lateAnswer).toMatchObject({ status: 'rejected', reason: { code: Code.DeadlineExceeded } });
  expect(patientAnswer.status).toBe('fulfilled');
  expect(await campus.places(late.actor)).toEqual({});
  expect(await campus.places(patient.actor)).toEqual({ [section]: 'reserved' });
});

test('a full queue turns further requests away, and serves again when it has emptied', async () => {
  const [section = ''] = await campus.sections(1, { capacity: 9 });
  const engine = engineWith({ queueMax: 3 });
  const asks = Array.from({ length: 5 }, () => askFor(section, Date.now() + PATIENCE_MS));

  const answers = await Promise.allSettled(asks.map((ask) => engine.register(ask)));

  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
  const [turnedAway] = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
  expect(toConnectError(turnedAway)).toMatchObject({ code: Code.ResourceExhausted });
  await engine.register(askFor(section, Date.now() + PATIENCE_MS));
});

test('one student’s requests cannot fill the queue for everybody', async () => {
  const section = await campus.section({ capacity: 200 });
  const engine = engineWith();
  const greedy = askFor(section, Date.now() + PATIENCE_MS);
  const again = () => ({ ...greedy, request: { ...greedy.request, registrationId: randomUUID() } });

  const answers = Promise.allSettled(Array.from({ length: 100 }, () => engine.register(again())));
  await engine.register(askFor(section, Date.now() + PATIENCE_MS));

  const turnedAway = (await answers).flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
  expect(turnedAway).toHaveLength(36);
  expect(toConnectError(turnedAway[0])).toMatchObject({ code: Code.ResourceExhausted });
  await engine.register(again());
});

test('a registration is decided while more read than there are connections', async () => {
  const section = await campus.section();
  const student = newStudent();
  const slow = new pg.Client({ connectionString: campus.pool.options.connectionString });
  await slow.connect();
  await slow.query('select pg_advisory_lock(1)');
  const reads = Array.from({ length: 50 }, () => campus.query('select pg_advisory_xact_lock_shared(1)'));
  const settled = Promise.allSettled(reads);
  await eventually(() => campus.pool.waitingCount > 0 && campus.pool.idleCount === 0);

  try {
    const { items } = await campus.register(student, { adds: [section] });
    expect(items).toMatchObject([{ outcome: Outcome.RESERVED }]);
  } finally {
    await slow.end();
    await settled;
  }
});
