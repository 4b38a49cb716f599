/** Temporal dies: students still get their answers at once, and their sagas end when it is back. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { eventually, freshServiceDatabase } from '#lib/testing';
import { Outcome, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { startTemporal, type Temporal } from '../local/temporal.ts';
import { worker } from '../workflows/worker/worker.ts';
import { type Campus, startCampus } from './campus.ts';
import { hold } from './hold.ts';
import { startProcess } from './process.ts';
import { EVERYTHING, traces } from './traces.ts';

vi.setConfig({ testTimeout: 240_000 });

const GAUGE_TIMEOUT_MS = 60_000;
const WAITING = 5;

let temporal: Temporal;
let campus: Campus;

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'registrar-outage-'));
  temporal = await startTemporal({ folder });
  campus = await startCampus({ without: ['worker'], environment: { TEMPORAL_ADDRESS: temporal.address } });
  const working = await startProcess('workflows/worker/main.ts', {
    ...campus.environment,
    DATABASE_URL: await freshServiceDatabase(worker),
  });
  return async () => {
    await working.stop();
    await campus.stop();
    await temporal.stop();
    await rm(folder, { recursive: true, force: true });
  };
});

/** Asks for a section with a book. */
async function register(id: string): Promise<void> {
  const section = await campus.section({ materials: [await campus.material()] });
  const { status, items } = await campus.register(`student-${id}`, [section], { id, buy: true });
  expect(status).toBe(Status.PENDING);
  expect(items.map(({ outcome }) => outcome)).toEqual([Outcome.RESERVED]);
}

/** A metric of the starter. */
async function gauge(name: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${campus.services.starter?.metricsPort}/metrics`);
  const value = new RegExp(`^${name} (.+)$`, 'm').exec(await response.text())?.[1];
  return Number(value);
}

function until(name: string, isReached: (value: number) => boolean): Promise<unknown> {
  return eventually(async () => isReached(await gauge(name)), { what: name, timeoutMs: GAUGE_TIMEOUT_MS });
}

test('while Temporal is away seats are given as ever, and all sagas end when it is back', async () => {
  const inTheMiddle = randomUUID();
  const recordsUrl = campus.services.records?.parts.config.databaseUrl ?? '';
  const held = await hold(recordsUrl, "insert into recordings values ($1, '', 'recorded')", [inTheMiddle]);
  await register(inTheMiddle);
  await held.isWaitedFor();

  temporal.server?.signal('SIGKILL');
  // Or the keeper would start it again.
  await temporal.server?.stop();
  await held.release();
  const waiting = Array.from({ length: WAITING }, () => randomUUID());
  for (const id of waiting) await register(id);
  await until('registrar_saga_backlog_events', (events) => events >= WAITING);
  await until('registrar_saga_backlog_age_seconds', (seconds) => seconds > 1);
  const { registration } = await campus.enrollment.getRegistration({ registrationId: waiting[0] ?? '' });
  expect(registration?.status).toBe(Status.PENDING);
  await temporal.server?.start();

  for (const id of [inTheMiddle, ...waiting]) {
    expect((await campus.settled(id)).status).toBe(Status.COMPLETED);
    expect(await traces(campus, id)).toEqual(EVERYTHING);
  }
  await until('registrar_saga_backlog_events', (events) => events === 0);
  expect(await gauge('registrar_saga_backlog_age_seconds')).toBe(0);
});
