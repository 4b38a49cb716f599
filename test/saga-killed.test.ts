/** The processes that start and run sagas are killed at the worst moments; the sagas end as if nothing had been. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { ServiceName } from '#lib/config';
import { eventually, freshServiceDatabase } from '#lib/testing';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { starter } from '../workflows/starter/starter.ts';
import { worker } from '../workflows/worker/worker.ts';
import { type Campus, startCampus } from './campus.ts';
import { type Hold, hold } from './hold.ts';
import { type Process, startProcess } from './process.ts';
import { DROPPED, EVERYTHING, NOTHING, type Traces, traces } from './traces.ts';

// What a killed worker had in hand is given to another one when its time is over: some twenty seconds.
vi.setConfig({ testTimeout: 240_000 });

const LOCK_STUDENT = "select from students where id = 'student-' || $1 for update";
const LOCK_CHARGE = 'select from charges where registration_id = $1 for update';
const LOCK_RESERVATION = 'select from reservations where registration_id = $1 for update';

/** Makes a registration wait inside a step: by what the step has to lock, or to insert. Those of a drop name what it drops. */
const holdsOf = {
  // It only reads, which nothing less stops.
  reserveSeats: ['enrollment', 'lock table registrations'],
  chargeTuition: [
    'billing',
    `insert into charges (registration_id, student_id, term_id, status, currency, total, payment_method)
     values ($1, '', '', 'requested', '', 0, '')`,
  ],
  reserveMaterials: ['bookstore', "insert into reservations values ($1, '', 'expected', '{}')"],
  recordEnrollment: ['records', "insert into recordings values ($1, '', 'recorded')"],
  confirmSeats: ['enrollment', LOCK_STUDENT],
  withdrawEnrollment: ['records', 'select from recordings where registration_id = $1 for update'],
  releaseMaterials: ['bookstore', LOCK_RESERVATION],
  refundTuition: ['billing', LOCK_CHARGE],
  releaseSeats: ['enrollment', LOCK_STUDENT],
  recordDrop: ['records', 'select from transcript_entries where registration_id = $1 for update'],
  returnMaterials: ['bookstore', LOCK_RESERVATION],
  refundDrop: ['billing', LOCK_CHARGE],
  finishDrops: ['enrollment', LOCK_STUDENT],
} as const satisfies Record<string, [ServiceName, string]>;

type Step = keyof typeof holdsOf;

let campus: Campus;
let starterDatabaseUrl: string;
let workerDatabaseUrl: string;
/** One of each, which the tests hand on to each other: a process takes long to start. */
let starting: Process | undefined;
let working: Process | undefined;

beforeAll(async () => {
  campus = await startCampus({ without: ['starter', 'worker'] });
  starterDatabaseUrl = await freshServiceDatabase(starter);
  workerDatabaseUrl = await freshServiceDatabase(worker);
  return async () => {
    await Promise.all([starting?.stop(), working?.stop()]);
    await campus.stop();
  };
});

function startStarter(): Promise<Process> {
  return startProcess('workflows/starter/main.ts', { ...campus.environment, DATABASE_URL: starterDatabaseUrl });
}

function startWorker(): Promise<Process> {
  return startProcess('workflows/worker/main.ts', { ...campus.environment, DATABASE_URL: workerDatabaseUrl });
}

/** Kills the worker that holds have stopped in the middle of something, and starts another. */
async function replaceWorker(holds: Hold[]): Promise<void> {
  await working?.kill();
  for (const held of holds) await held.release();
  working = await startWorker();
}

function holdAt(step: Step, id: string): Promise<Hold> {
  const [service, sql] = holdsOf[step];
  return hold(campus.services[service]?.parts.config.databaseUrl ?? '', sql, sql.includes('$1') ? [id] : []);
}

/** Asks for a section with a book; for one of its own, where none is named. */
async function register(id: string, options: { stock?: number; section?: string } = {}): Promise<void> {
  const section = options.section ?? (await publish(options));
  await campus.register(`student-${id}`, [section], { id, buy: true });
}

/** A section with a book. */
async function publish(options: { stock?: number } = {}): Promise<string> {
  return campus.section({ materials: [await campus.material(options)] });
}

async function endOf(id: string): Promise<{ status: Status; left: Traces }> {
  const { status } = await campus.settled(id);
  return { status, left: await traces(campus, id) };
}

async function runOf(id: string): Promise<string> {
  return (await campus.temporal.workflow.getHandle(`enroll/${id}`).describe()).runId;
}

/** Registers, and has the saga wait in `step` once it is past `before`. */
async function reach(step: Step, id: string, before: Step, options: { stock?: number } = {}): Promise<Hold> {
  const passing = await holdAt(before, id);
  await register(id, options);
  await passing.isWaitedFor();
  return moveOn(passing, step, id);
}

/** Lets go of a saga that waits before `step`, and has it wait there. */
async function moveOn(from: Hold, step: Step, id: string): Promise<Hold> {
  const held = await holdAt(step, id);
  await from.release();
  await held.isWaitedFor();
  return held;
}

/** Registers, and cancels at the last moment: everything is done, and has to be undone. Has the saga wait in `step`. */
async function reachCancelled(step: 'withdrawEnrollment' | 'releaseMaterials', id: string): Promise<Hold> {
  const confirming = await reach('confirmSeats', id, 'recordEnrollment');
  // What the student's call writes; the call itself would wait for the same row.
  await campus.rows('enrollment', 'update registrations set cancel_requested = true where id = $1', [id]);
  return moveOn(confirming, step, id);
}

/** Drops what was enrolled by `enrolled`, and has the saga wait in `step`, once it is past `before` where that is given. */
async function reachDrop(step: Step, enrolled: string, id: string, before?: Step): Promise<Hold> {
  const { items } = await campus.settled(enrolled);
  const held = await holdAt(before ?? step, enrolled);
  await campus.register(`student-${enrolled}`, [], { id, drops: items.map(({ sectionId }) => sectionId) });
  await held.isWaitedFor();
  return before ? moveOn(held, step, enrolled) : held;
}

test('a worker is killed while registrations are in every step: each is completed, once', async () => {
  const ids = {
    reserveSeats: randomUUID(),
    chargeTuition: randomUUID(),
    reserveMaterials: randomUUID(),
    recordEnrollment: randomUUID(),
    confirmSeats: randomUUID(),
  };
  starting = await startStarter();
  // While nobody works; and by itself, since nobody else can register meanwhile.
  await register(ids.reserveSeats);
  const reserving = await holdAt('reserveSeats', ids.reserveSeats);
  working = await startWorker();
  await reserving.isWaitedFor();
  await replaceWorker([reserving]);
  const holds = [await reach('confirmSeats', ids.confirmSeats, 'recordEnrollment')];
  for (const step of ['chargeTuition', 'reserveMaterials', 'recordEnrollment'] as const) {
    const held = await holdAt(step, ids[step]);
    await register(ids[step]);
    await held.isWaitedFor();
    holds.push(held);
  }

  await replaceWorker(holds);

  for (const [step, id] of Object.entries(ids)) {
    expect(await endOf(id), step).toEqual({ status: Status.COMPLETED, left: EVERYTHING });
  }
});

describe('a worker is killed while registrations are in every undo, and drops in every step', () => {
  const undone = [
    { step: 'withdrawEnrollment', id: randomUUID(), status: Status.CANCELLED },
    { step: 'releaseMaterials', id: randomUUID(), status: Status.CANCELLED },
    { step: 'refundTuition', id: randomUUID(), status: Status.UNDONE },
    { step: 'releaseSeats', id: randomUUID(), status: Status.UNDONE },
  ] as const;
  const drops = (['recordDrop', 'returnMaterials', 'refundDrop', 'finishDrops'] as const).map((step) => ({
    step,
    enrolled: randomUUID(),
    id: randomUUID(),
  }));

  beforeAll(async () => {
    starting ??= await startStarter();
    working ??= await startWorker();
    for (const { enrolled } of drops) await register(enrolled);
    const holds = [];
    for (const { step, id } of undone)
      holds.push(
        step === 'withdrawEnrollment' || step === 'releaseMaterials'
          ? await reachCancelled(step, id)
          : await reach(step, id, 'reserveMaterials', { stock: 0 }),
      );
    for (const { step, enrolled, id } of drops)
      holds.push(await reachDrop(step, enrolled, id, step === 'finishDrops' ? 'refundDrop' : undefined));
    await replaceWorker(holds);
  });

  test.each(undone)('$step: nothing is left of the registration', async ({ id, status }) => {
    expect(await endOf(id)).toEqual({ status, left: NOTHING });
  });

  test.each(drops)('$step: the drop is settled, once', async ({ enrolled, id }) => {
    expect((await campus.settled(id)).status).toBe(Status.COMPLETED);
    expect(await traces(campus, enrolled)).toEqual(DROPPED);
  });
});

test('a starter is killed between starting a saga and storing its position: there is no second saga', async () => {
  const [ended, next] = [randomUUID(), randomUUID()];
  starting ??= await startStarter();
  working ??= await startWorker();
  // First: a section has events of its own, and the starter shall not wait after those.
  const section = await publish();
  await eventually(isFollowed, { what: 'the starter having followed to the end' });
  const storing = await hold(starterDatabaseUrl, "select from checkpoints where source = 'enrollment' for update");
  await register(ended, { section });
  expect((await endOf(ended)).status).toBe(Status.COMPLETED);
  await storing.isWaitedFor();
  const run = await runOf(ended);

  await starting.kill();
  await storing.release();
  expect(await isFollowed()).toBe(false);
  starting = await startStarter();

  await register(next);
  expect(await endOf(next)).toEqual({ status: Status.COMPLETED, left: EVERYTHING });
  await eventually(isFollowed, { what: 'the second starter having followed to the end' });
  expect(await runOf(ended)).toBe(run);
  expect(await endOf(ended)).toEqual({ status: Status.COMPLETED, left: EVERYTHING });
});

/** Whether the starter has stored that it reached the end of enrollment's log. */
async function isFollowed(): Promise<boolean> {
  const [head] = await campus.rows<{ position: string }>('enrollment', 'select position from event_head');
  const client = new pg.Client({ connectionString: starterDatabaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query("select position from checkpoints where source = 'enrollment'");
    return rows[0]?.position === head?.position;
  } finally {
    await client.end();
  }
}
