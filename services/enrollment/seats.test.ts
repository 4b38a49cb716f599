import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refusalOf } from '#lib/refusal';
import { Mode, Outcome, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { Campus, newStudent, outcomesOf, type Wish } from './campus.testing.ts';

const { ENROLLED, RELEASED, WAITLISTED, DROPPED } = Outcome;

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open();
});
afterAll(async () => {
  expect(await campus.faults()).toEqual([]);
  await campus.close();
});

/** A student with a pending registration for one new section of nine seats. */
async function pending(wish: Wish = {}) {
  const section = await campus.section({ capacity: 9 });
  const student = newStudent();
  const { id: registrationId } = await campus.register(student, { ...wish, adds: [section, ...(wish.adds ?? [])] });
  return { section, student, registrationId };
}

async function cancel(student: string, registrationId: string) {
  return campus.client().cancelRegistration({ registrationId }, await campus.as(student));
}

/** The reason why a call was refused. */
function reasonOf(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => refusalOf(error)?.reason,
  );
}

describe('each step twice', () => {
  test('reserving changes nothing, since the seats were reserved when they were decided', async () => {
    const { section, student, registrationId } = await pending();

    for (let n = 0; n < 2; n++)
      expect(await campus.client().reserveSeats({ registrationId })).toMatchObject({ confirmed: false });

    expect(await campus.places(student)).toEqual({ [section]: 'reserved' });
    expect(await campus.told(registrationId)).toEqual(['RegistrationDecided']);
  });

  test('confirming enrolls once', async () => {
    const { section, student, registrationId } = await pending();

    for (let n = 0; n < 2; n++) await campus.client().confirmSeats({ registrationId });
    await campus.client().reserveSeats({ registrationId });

    expect(await campus.registration(registrationId)).toMatchObject({
      status: Status.COMPLETED,
      items: [{ outcome: ENROLLED }],
      endedAt: expect.anything(),
    });
    expect(await campus.places(student)).toEqual({ [section]: 'enrolled' });
    expect(await campus.seats(section)).toMatchObject({ taken: 1 });
    expect(await campus.told(registrationId)).toEqual(['RegistrationDecided', 'RegistrationCompleted']);
  });

  test('releasing gives the seat back once', async () => {
    const { section, student, registrationId } = await pending();

    for (let n = 0; n < 2; n++) await campus.client().releaseSeats({ registrationId, reason: 'payment-declined' });

    expect(await campus.registration(registrationId)).toMatchObject({
      status: Status.UNDONE,
      reason: 'payment-declined',
      items: [{ outcome: RELEASED }],
    });
    expect(await campus.places(student)).toEqual({});
    expect(await campus.seats(section)).toMatchObject({ taken: 0 });
    expect(await campus.told(registrationId)).toEqual(['RegistrationDecided', 'RegistrationUndone']);
  });

  test('finishing drops ends the registration once', async () => {
    const { section, student, registrationId: enrolledBy } = await pending();
    await campus.client().confirmSeats({ registrationId: enrolledBy });
    const { id: registrationId, status } = await campus.register(student, { drops: [section] });

    for (let n = 0; n < 2; n++) await campus.client().finishDrops({ registrationId });

    expect(status).toBe(Status.PENDING);
    expect(await campus.registration(registrationId)).toMatchObject({ status: Status.COMPLETED });
    expect(await campus.told(registrationId)).toEqual(['RegistrationDecided', 'RegistrationCompleted']);
  });

  test('all of them at once, many times, take effect once', async () => {
    const { section, registrationId } = await pending();
    const calls = Array.from({ length: 20 }, (_, n) =>
      n % 2 === 0
        ? campus.client().confirmSeats({ registrationId })
        : campus.client().releaseSeats({ registrationId, reason: 'outage' }),
    );
    await Promise.allSettled(calls);

    const { status } = await campus.registration(registrationId);
    expect(await campus.seats(section)).toMatchObject({ taken: status === Status.COMPLETED ? 1 : 0 });
    expect(await campus.told(registrationId)).toHaveLength(2);
  });
});

describe('a step out of its order', () => {
  test('confirming or reserving after the release is refused', async () => {
    const { section, registrationId } = await pending();
    await campus.client().releaseSeats({ registrationId, reason: 'outage' });

    expect(await reasonOf(campus.client().confirmSeats({ registrationId }))).toBe('released');
    expect(await reasonOf(campus.client().reserveSeats({ registrationId }))).toBe('released');
    expect(await campus.seats(section)).toMatchObject({ taken: 0 });
  });

  test('releasing after the confirmation is refused, and takes nobody’s seat away', async () => {
    const { section, student, registrationId } = await pending();
    await campus.client().confirmSeats({ registrationId });

    expect(await reasonOf(campus.client().releaseSeats({ registrationId, reason: 'outage' }))).toBe('confirmed');

    expect(await campus.places(student)).toEqual({ [section]: 'enrolled' });
    expect(await campus.registration(registrationId)).toMatchObject({ status: Status.COMPLETED, reason: '' });
  });

  test('a registration that does not exist is not found', async () => {
    const registrationId = '00000000-0000-4000-8000-000000000000';
    await expect(campus.client().reserveSeats({ registrationId })).rejects.toMatchObject({ code: Code.NotFound });
  });
});

describe('a cancellation', () => {
  test('refuses the confirmation, and the release then ends it as cancelled', async () => {
    const { section, student, registrationId } = await pending();

    await cancel(student, registrationId);
    await cancel(student, registrationId);

    expect(await reasonOf(campus.client().confirmSeats({ registrationId }))).toBe('cancelled');
    expect(await reasonOf(campus.client().reserveSeats({ registrationId }))).toBe('cancelled');
    await campus.client().releaseSeats({ registrationId, reason: 'outage' });
    expect(await campus.registration(registrationId)).toMatchObject({ status: Status.CANCELLED, reason: 'cancelled' });
    expect(await campus.seats(section)).toMatchObject({ taken: 0 });
    const told = ['RegistrationDecided', 'CancellationRequested', 'RegistrationUndone'];
    expect(await campus.told(registrationId)).toEqual(told);
  });

  test('of the saga by an operator is none of the student’s', async () => {
    const { registrationId } = await pending();

    await campus.client().releaseSeats({ registrationId, reason: 'cancelled' });

    expect(await campus.registration(registrationId)).toMatchObject({ status: Status.UNDONE, reason: 'cancelled' });
  });

  test('after the end is refused, whichever end it was', async () => {
    const [confirmed, released] = [await pending(), await pending()];
    await campus.client().confirmSeats({ registrationId: confirmed.registrationId });
    await campus.client().releaseSeats({ registrationId: released.registrationId, reason: 'outage' });

    for (const { student, registrationId } of [confirmed, released]) {
      expect(await reasonOf(cancel(student, registrationId))).toBe('registration-ended');
    }
    expect(await campus.places(confirmed.student)).toEqual({ [confirmed.section]: 'enrolled' });
  });

  test.each([
    ['nothing else', false],
    ['adds that are confirmed', true],
  ])('while drops are settled, beside %s, is refused for what it is', async (_what, hasAdds) => {
    const { section: old, student, registrationId: enrolledBy } = await pending();
    await campus.client().confirmSeats({ registrationId: enrolledBy });
    const adds = hasAdds ? [await campus.section()] : [];
    const { id: registrationId } = await campus.register(student, { adds, drops: [old] });
    if (hasAdds) await campus.client().confirmSeats({ registrationId });

    expect(await reasonOf(cancel(student, registrationId))).toBe('drop-in-progress');
    expect(await campus.registration(registrationId)).toMatchObject({ status: Status.PENDING });

    await campus.client().finishDrops({ registrationId });
    expect(await reasonOf(cancel(student, registrationId))).toBe('registration-ended');
  });
});

describe('drops', () => {
  test('give the seat to whoever asks next', async () => {
    const section = await campus.section();
    const [first, second] = [newStudent(), newStudent()];
    await campus.enroll(first, section);
    await campus.register(first, { drops: [section] });

    const { items } = await campus.register(second, { adds: [section] });

    expect(items).toMatchObject([{ outcome: Outcome.RESERVED }]);
    expect(await campus.places(first)).toEqual({});
  });

  test('of a seat that is only reserved are refused', async () => {
    const { section, student } = await pending();

    const { status, items } = await campus.register(student, { drops: [section] });

    expect(status).toBe(Status.REFUSED);
    expect(items).toMatchObject([{ reason: 'not-enrolled', remedy: expect.stringContaining('Cancel') }]);
    expect(await campus.places(student)).toEqual({ [section]: 'reserved' });
  });

  test.each([
    ['confirmed', 'COMPLETED', [DROPPED, ENROLLED], 'RegistrationCompleted'],
    ['released', 'UNDONE', [DROPPED, RELEASED], 'RegistrationUndone'],
  ] as const)(
    'beside adds that are %s end the registration once, when both are settled',
    async (way, end, outcomes, event) => {
      for (const addsFirst of [true, false]) {
        const { section: old, student, registrationId: enrolledBy } = await pending();
        await campus.client().confirmSeats({ registrationId: enrolledBy });
        const fresh = await campus.section();
        const { id: registrationId } = await campus.register(student, { adds: [fresh], drops: [old] });
        const settleAdds = () =>
          way === 'confirmed'
            ? campus.client().confirmSeats({ registrationId })
            : campus.client().releaseSeats({ registrationId, reason: 'outage' });
        const finishDrops = () => campus.client().finishDrops({ registrationId });
        const [first, second] = addsFirst ? [settleAdds, finishDrops] : [finishDrops, settleAdds];

        await first();
        expect(await campus.registration(registrationId)).toMatchObject({ status: Status.PENDING });
        await second();
        const registration = await campus.registration(registrationId);
        expect(registration.status).toBe(Status[end]);
        expect(outcomesOf(registration)).toEqual(outcomes);
        expect(await campus.told(registrationId)).toEqual(['RegistrationDecided', 'RegistrationProgressed', event]);
        expect(await campus.seats(fresh)).toMatchObject({ taken: way === 'confirmed' ? 1 : 0 });
      }
    },
  );

  test('of a section are not forgotten when the registration that had added it ends later', async () => {
    const { section: old, student, registrationId: enrolledBy } = await pending();
    await campus.client().confirmSeats({ registrationId: enrolledBy });
    const fresh = await campus.section();
    const { id: mixed } = await campus.register(student, { adds: [fresh], drops: [old] });
    await campus.client().confirmSeats({ registrationId: mixed });
    await campus.register(student, { drops: [fresh] });

    await campus.client().finishDrops({ registrationId: mixed });

    // The log must not say again that the student is enrolled.
    expect(await campus.places(student)).toEqual({});
    expect(await campus.faults()).toEqual([]);
  });
});

describe('places on waitlists that a registration took beside its seats', () => {
  test.each([
    [Mode.EACH, WAITLISTED, { taken: 0, waitlisted: 1 }],
    [Mode.ALL_OR_NOTHING, RELEASED, { taken: 0, waitlisted: 0 }],
  ])('in mode %s have outcome %s when the seats are released', async (mode, outcome, seats) => {
    const waited = await campus.section({ capacity: 0, waitlistCapacity: 5 });
    const { section, registrationId } = await pending({ adds: [waited], orWaitlist: true, mode });

    await campus.client().releaseSeats({ registrationId, reason: 'payment-declined' });

    expect(outcomesOf(await campus.registration(registrationId))).toEqual([RELEASED, outcome]);
    expect(await campus.seats(waited)).toEqual(seats);
    expect(await campus.seats(section)).toMatchObject({ taken: 0 });
  });
});
