/** A service stops while a saga needs it, and comes back: the saga ends whole. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ServiceName } from '#lib/config';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { type Campus, startCampus } from './campus.ts';
import { Gates, type StepName } from './gates.ts';
import { EVERYTHING, NOTHING, traces } from './traces.ts';

vi.setConfig({ testTimeout: 150_000 });

const gates = new Gates();
let campus: Campus;

beforeAll(async () => {
  campus = await startCampus({ activities: (real) => gates.around(real) });
});
afterAll(() => campus.stop());

/** Asks for a section with a book. */
async function register(id: string): Promise<string> {
  const section = await campus.section({ materials: [await campus.material()] });
  await campus.register(`student-${id}`, [section], { id, buy: true });
  return section;
}

async function seatsTaken(section: string): Promise<number> {
  const [row] = await campus.rows<{ taken: number }>('enrollment', 'select taken from sections where id = $1', [
    section,
  ]);
  return row?.taken ?? Number.NaN;
}

async function cancel(id: string): Promise<void> {
  await campus.asStudent(`student-${id}`, (client) => client.cancelRegistration({ registrationId: id }));
}

describe('a service stops before its step and comes back: the registration is completed', () => {
  test.each<[ServiceName, StepName]>([
    ['enrollment', 'reserveSeats'],
    ['billing', 'chargeTuition'],
    ['bookstore', 'reserveMaterials'],
    ['records', 'recordEnrollment'],
    ['enrollment', 'confirmSeats'],
  ])('%s at %s', async (service, step) => {
    const id = randomUUID();
    const gate = gates.before(id, step);
    const section = await register(id);
    await gate.reached;

    await campus.stopService(service);
    gate.open();
    await gate.failed;
    await campus.startService(service);

    expect((await campus.settled(id)).status).toBe(Status.COMPLETED);
    expect(await traces(campus, id)).toEqual(EVERYTHING);
    expect(await seatsTaken(section)).toBe(1);
  });
});

describe('a service stops before it undoes its step and comes back: nothing is left', () => {
  test.each<[ServiceName, StepName]>([
    ['records', 'withdrawEnrollment'],
    ['bookstore', 'releaseMaterials'],
    ['billing', 'refundTuition'],
    ['enrollment', 'releaseSeats'],
  ])('%s at %s', async (service, undo) => {
    const id = randomUUID();
    const confirm = gates.before(id, 'confirmSeats');
    const gate = gates.before(id, undo);
    const section = await register(id);
    // With every step done, all of it has to be undone.
    await confirm.reached;
    await cancel(id);
    confirm.open();
    await gate.reached;

    await campus.stopService(service);
    gate.open();
    await gate.failed;
    await campus.startService(service);

    expect(await campus.settled(id)).toMatchObject({ status: Status.CANCELLED, reason: 'cancelled' });
    expect(await traces(campus, id)).toEqual(NOTHING);
    expect(await seatsTaken(section)).toBe(0);
  });
});

describe('a student cancels while a service is away: the undo does not wait for the step, and nothing is left', () => {
  test.each<[ServiceName, StepName, StepName]>([
    ['billing', 'chargeTuition', 'refundTuition'],
    ['records', 'recordEnrollment', 'withdrawEnrollment'],
  ])('%s at %s', async (service, step, undo) => {
    const id = randomUUID();
    const [gate, undoing] = [gates.before(id, step), gates.before(id, undo)];
    const section = await register(id);
    await gate.reached;
    await campus.stopService(service);
    gate.open();
    await gate.failed;

    await cancel(id);
    await undoing.reached;
    undoing.open();
    await undoing.failed;
    await campus.startService(service);

    expect(await campus.settled(id)).toMatchObject({ status: Status.CANCELLED, reason: 'cancelled' });
    expect(await traces(campus, id)).toEqual(NOTHING);
    expect(await seatsTaken(section)).toBe(0);
  });
});

describe('a service stops before it settles its part of a drop and comes back: the drop is settled', () => {
  test.each<[ServiceName, StepName]>([
    ['records', 'recordDrop'],
    ['bookstore', 'returnMaterials'],
    ['billing', 'refundDrop'],
    ['enrollment', 'finishDrops'],
  ])('%s at %s', async (service, step) => {
    const [enrolling, dropping] = [randomUUID(), randomUUID()];
    const section = await register(enrolling);
    await campus.settled(enrolling);
    const gate = gates.before(dropping, step);

    await campus.register(`student-${enrolling}`, [], { id: dropping, drops: [section] });
    await gate.reached;
    // The seat is free at once, whoever is away.
    expect(await seatsTaken(section)).toBe(0);
    await campus.stopService(service);
    gate.open();
    await gate.failed;
    await campus.startService(service);

    expect((await campus.settled(dropping)).status).toBe(Status.COMPLETED);
    // Half of 425.00 stays; the book is paid back in full.
    expect(await traces(campus, enrolling)).toEqual({ ...NOTHING, charged: 21_250, provider: 21_250 });
  });
});
