/** The processes that start and run sagas are killed at the worst moments; the sagas end as if nothing had been. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { beforeAll, expect, test, vi } from 'vitest';
import type { ServiceName } from '#lib/config';
import { eventually, freshServiceDatabase } from '#lib/testing';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { starter } from '../workflows/saga-starter.ts';
import { worker } from '../workflows/saga-worker.ts';
import { type Campus, startCampus } from './campus.ts';
import { type Hold, hold } from './hold.ts';
import { type Process, startProcess } from './process.ts';
import { EVERYTHING, NOTHING, type Traces, traces } from './traces.ts';

// What a killed worker had in hand is given to another one when its time is over: some twenty seconds.
vi.setConfig({ testTimeout: 240_000 });

const lockRegistration = 'select from registrations where id = $1 for update';

/** Makes a registration wait inside a step: by a row that the step has to lock, or to insert. */
const holdsOf = {
  reserveSeats: ['enrollment', lockRegistration],
  chargeTuition: [
    'billing',
    `insert into charges (registration_id, student_id, term_id, status, currency, total, payment_method)
     values ($1, '', '', 'requested', '', 0, '')`,
  ],
  reserveMaterials: ['bookstore', "insert into reservations values ($1, '', 'expected', '{}')"],
  recordEnrollment: ['records', "insert into recordings values ($1, '', 'recorded')"],
  confirmSeats: ['enrollment', lockRegistration],
  refundTuition: ['billing', 'select from charges where registration_id = $1 for update'],
  releaseSeats: ['enrollment', lockRegistration],
} as const satisfies Record<string, [ServiceName, string]>;

type Step = keyof typeof holdsOf;

let campus: Campus;
let folder: string;
let starterDatabaseUrl: string;
let workerDatabaseUrl: string;
/** One of each, which the tests hand on to each other: a process takes long to start. */
let starting: Process | undefined;
let working: Process | undefined;

beforeAll(async () => {
  campus = await startCampus({ without: ['starter', 'worker'] });
  folder = await mkdtemp(join(tmpdir(), 'registrar-killed-'));
  starterDatabaseUrl = await freshServiceDatabase(starter);
  workerDatabaseUrl = await freshServiceDatabase(worker);
  return async () => {
    await Promise.all([starting?.stop(), working?.stop()]);
    await campus.stop();
    await rm(folder, { recursive: true, force: true });
  };
});

function startStarter(): Promise<Process> {
  return startProcess('workflows/starter.ts', { ...campus.environment, DATABASE_URL: starterDatabaseUrl });
}

function startWorker(): Promise<Process> {
  const own = { DATABASE_URL: workerDatabaseUrl, WORKFLOW_BUNDLE_FILE: join(folder, 'bundle.js') };
  return startProcess('workflows/worker.ts', { ...campus.environment, ...own });
}

/** Kills the worker that holds have stopped in the middle of something, and starts another. */
async function replaceWorker(holds: Hold[]): Promise<void> {
  await working?.kill();
  for (const held of holds) await held.release();
  working = await startWorker();
}

function holdAt(step: Step, id: string): Promise<Hold> {
  const [service, sql] = holdsOf[step];
  return hold(campus.services[service]?.parts.config.databaseUrl ?? '', sql, [id]);
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
  const held = await holdAt(step, id);
  await passing.release();
  await held.isWaitedFor();
  return held;
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
  // While nobody works: it is held before its saga begins.
  await register(ids.reserveSeats);
  const holds = [await holdAt('reserveSeats', ids.reserveSeats)];
  working = await startWorker();
  await holds[0]?.isWaitedFor();
  for (const step of ['chargeTuition', 'reserveMaterials', 'recordEnrollment'] as const) {
    const held = await holdAt(step, ids[step]);
    await register(ids[step]);
    await held.isWaitedFor();
    holds.push(held);
  }
  holds.push(await reach('confirmSeats', ids.confirmSeats, 'recordEnrollment'));

  await replaceWorker(holds);

  for (const [step, id] of Object.entries(ids)) {
    expect(await endOf(id), step).toEqual({ status: Status.COMPLETED, left: EVERYTHING });
  }
});

test('a worker is killed while registrations are being undone: nothing is left of any', async () => {
  const ids = { refundTuition: randomUUID(), releaseSeats: randomUUID() };
  starting ??= await startStarter();
  working ??= await startWorker();
  const holds = [
    await reach('refundTuition', ids.refundTuition, 'reserveMaterials', { stock: 0 }),
    await reach('releaseSeats', ids.releaseSeats, 'reserveMaterials', { stock: 0 }),
  ];

  await replaceWorker(holds);

  for (const [step, id] of Object.entries(ids)) {
    expect(await endOf(id), step).toEqual({ status: Status.UNDONE, left: NOTHING });
  }
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
