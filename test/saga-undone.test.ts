/** A saga whose time is over is undone; an undo that keeps failing is shown to operators and never given up. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ServiceName } from '#lib/config';
import { eventually } from '#lib/testing';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { openSagas, type Saga, type SagaFilter, type Sagas } from '../edge/sagas.ts';
import type { Activities } from '../workflows/worker/activities.ts';
import { type Campus, startCampus } from './campus.ts';
import { Gates, type StepName } from './gates.ts';
import { EVERYTHING, NOTHING, traces } from './traces.ts';

vi.setConfig({ testTimeout: 150_000 });

const DEADLINE_SECONDS = 2;
/** An undo is tried eight times, with growing pauses, before operators are told. */
const STUCK_TIMEOUT_MS = 90_000;

const gates = new Gates();
/** Registrations whose refunds fail. */
const unrefundable = new Set<string>();
let campus: Campus;
let sagas: Sagas;

beforeAll(async () => {
  campus = await startCampus({
    sagaDeadlineSeconds: DEADLINE_SECONDS,
    environment: { SAGAS_IN_FLIGHT_MAX: '1' },
    activities: (real) => gates.around(refundsFailing(real)),
  });
  sagas = openSagas({ address: campus.environment.TEMPORAL_ADDRESS ?? '', namespace: 'default', taskQueue: '' });
});
afterAll(async () => {
  await sagas.close();
  await campus.stop();
});

function refundsFailing(real: Activities): Activities {
  return {
    ...real,
    refundTuition: (input, reason) => {
      if (unrefundable.has(input.registrationId)) throw new Error('the provider lost its book');
      return real.refundTuition(input, reason);
    },
  };
}

async function register(id: string, card = 'tok_ok'): Promise<void> {
  const section = await campus.section({ materials: [await campus.material()] });
  await campus.register(`student-${id}`, [section], { id, card, buy: true });
}

async function listed(filter: SagaFilter, id: string): Promise<Saga | undefined> {
  for (let token = new Uint8Array(); ; ) {
    const { items, nextPageToken } = await sagas.list(filter, { limit: 100, token });
    const found = items.find((item) => item.id === `enroll/${id}`);
    if (found || nextPageToken.length === 0) return found;
    token = new Uint8Array(nextPageToken);
  }
}

describe('a service that stays away beyond the deadline: the registration is undone, and nothing is left', () => {
  test.each<[ServiceName, StepName, StepName]>([
    ['enrollment', 'reserveSeats', 'releaseSeats'],
    ['billing', 'chargeTuition', 'refundTuition'],
    ['bookstore', 'reserveMaterials', 'releaseMaterials'],
    ['records', 'recordEnrollment', 'withdrawEnrollment'],
  ])('%s at %s', async (service, step, undo) => {
    const id = randomUUID();
    const [gate, undoing] = [gates.before(id, step), gates.before(id, undo)];
    await register(id);
    await gate.reached;

    await campus.stopService(service);
    gate.open();
    await undoing.reached;
    undoing.open();
    await undoing.failed;
    await campus.startService(service);

    expect(await campus.settled(id)).toMatchObject({ status: Status.UNDONE, reason: 'service-unavailable' });
    expect(await traces(campus, id)).toEqual(NOTHING);
  });
});

test('enrollment away beyond the deadline when everything else is done: it is asked until it confirms', async () => {
  const id = randomUUID();
  const gate = gates.before(id, 'confirmSeats');
  await register(id);
  await gate.reached;

  await campus.stopService('enrollment');
  gate.open();
  await gate.failed;
  await sleep(DEADLINE_SECONDS * 1_000);
  await campus.startService('enrollment');

  expect((await campus.settled(id)).status).toBe(Status.COMPLETED);
  expect(await traces(campus, id)).toEqual(EVERYTHING);
});

test('a refund that keeps failing is shown as stuck, and a retry ends it once the cause is gone', async () => {
  const id = randomUUID();
  unrefundable.add(id);
  await register(id, 'tok_declined');

  const stuck = await eventually(() => listed('stuck', id), { what: 'the stuck saga', timeoutMs: STUCK_TIMEOUT_MS });
  expect(stuck).toMatchObject({
    status: 'running',
    outcome: 'stuck',
    studentId: `student-${id}`,
    step: 'refundTuition',
    error: 'the provider lost its book',
  });
  const { registration } = await campus.enrollment.getRegistration({ registrationId: id });
  expect(registration?.status).toBe(Status.PENDING);
  // It takes nobody's turn, though no more than one may be open here.
  const other = randomUUID();
  await register(other);
  expect((await campus.settled(other)).status).not.toBe(Status.PENDING);

  unrefundable.delete(id);
  await sagas.retry(`enroll/${id}`);

  expect(await campus.settled(id)).toMatchObject({ status: Status.UNDONE, reason: 'payment-declined' });
  expect(await traces(campus, id)).toEqual(NOTHING);
  expect(await firedTimers(id)).toBe(0);
  const ended = await eventually(() => listed('ended', id), { what: 'the ended saga' });
  expect(ended).toMatchObject({ status: 'completed', outcome: 'undone' });
  expect(ended.error).toBeUndefined();
  expect(await listed('stuck', id)).toBeUndefined();
});

/** Of a saga's own pauses those that nobody cut short. */
async function firedTimers(id: string): Promise<number> {
  const { events = [] } = await campus.temporal.workflow.getHandle(`enroll/${id}`).fetchHistory();
  return events?.filter(({ timerFiredEventAttributes }) => timerFiredEventAttributes).length ?? 0;
}
