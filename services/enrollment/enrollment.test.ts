import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Day, SectionStatus } from '#proto/catalog/v1/catalog';
import { Materials, Mode, Outcome, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { Campus, newStudent, outcomesOf, requestFrom } from './campus.testing.ts';

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open();
});
afterAll(async () => {
  expect(await campus.faults()).toEqual([]);
  await campus.close();
});

test('a section with a seat is reserved at once, with all that the saga needs, and told of', async () => {
  const materials = [{ materialId: 'book', quantity: 1 }];
  const fee = { amount: 2_500n, currency: 'USD' };
  const section = await campus.section({ capacity: 30, credits: 4, fee, materials });
  const student = newStudent();
  const request = requestFrom(student, { adds: [section] });

  const { registration, position } = await campus
    .client()
    .register({ ...request, paymentMethod: 'tok_ok', materials: Materials.BUY }, await campus.as(student));

  expect(registration).toMatchObject({ studentId: student, status: Status.PENDING, paymentMethod: 'tok_ok' });
  expect(registration?.items).toMatchObject([
    { sectionId: section, outcome: Outcome.RESERVED, termId: 'T1', courseId: 'CSE-101', credits: 4, fee, materials },
  ]);
  expect(position).toBeGreaterThan(0n);
  expect(await campus.registration(request.registrationId)).toEqual(registration);
  expect(await campus.places(student)).toEqual({ [section]: 'reserved' });
  expect(await campus.told(request.registrationId)).toEqual(['RegistrationDecided']);
});

test('each section is answered on its own', async () => {
  const [open, full] = [await campus.section(), await campus.section({ capacity: 0 })];
  const student = newStudent();

  const registration = await campus.register(student, { adds: [open, full, 'T1-unknown'] });

  expect(registration.items.map(({ outcome, reason }) => reason || outcome)).toEqual([
    Outcome.RESERVED,
    'section-full',
    'unknown-section',
  ]);
  expect(await campus.places(student)).toEqual({ [open]: 'reserved' });
});

test('a refusal leaves nothing but its answer', async () => {
  const [open, full] = [await campus.section(), await campus.section({ capacity: 0 })];
  const student = newStudent();

  const registration = await campus.register(student, { adds: [open, full], mode: Mode.ALL_OR_NOTHING });

  expect(registration.status).toBe(Status.REFUSED);
  expect(await campus.places(student)).toEqual({});
  expect(await campus.seats(open)).toEqual({ taken: 0, waitlisted: 0 });
});

test('what the catalog says of times, credits and status is what the rules look at', async () => {
  const meetings = [{ kind: 'lecture', days: [Day.MONDAY], startsAt: '09:00', endsAt: '09:50' }];
  const [held, atOnce] = [await campus.section({ meetings, credits: 18 }), await campus.section({ meetings })];
  const [heavy, closed] = [
    await campus.section({ credits: 5 }),
    await campus.section({ status: SectionStatus.CLOSED }),
  ];
  const student = newStudent();
  await campus.enroll(student, held);

  const { items } = await campus.register(student, { adds: [held, atOnce, heavy, closed] });

  expect(items.map(({ reason }) => reason)).toEqual([
    'already-enrolled',
    'time-conflict',
    'credit-limit',
    'section-closed',
  ]);
});

test('those who wait are numbered, and nobody new passes them when a seat comes free', async () => {
  const section = await campus.section({ waitlistCapacity: 2 });
  const [first, second, third, late] = [newStudent(), newStudent(), newStudent(), newStudent()];
  await campus.enroll(first, section);

  const positions = [];
  for (const student of [second, third]) {
    const { items, status } = await campus.register(student, { adds: [section], orWaitlist: true });
    positions.push([items[0]?.waitlistPosition, status]);
  }
  await campus.register(first, { drops: [section] });
  const { items } = await campus.register(late, { adds: [section], orWaitlist: true });

  expect(positions).toEqual([
    [1, Status.COMPLETED],
    [2, Status.COMPLETED],
  ]);
  expect(items[0]?.reason).toBe('waitlist-full');
  expect(await campus.seats(section)).toEqual({ taken: 0, waitlisted: 2 });
});

test('a place on a waitlist is given up once, by leaving or by a drop', async () => {
  const section = await campus.section({ capacity: 0, waitlistCapacity: 9 });
  const [leaver, dropper] = [newStudent(), newStudent()];
  for (const student of [leaver, dropper]) await campus.register(student, { adds: [section], orWaitlist: true });

  const asLeaver = await campus.as(leaver);
  await campus.client().leaveWaitlist({ studentId: leaver, sectionId: section }, asLeaver);
  await campus.client().leaveWaitlist({ studentId: leaver, sectionId: section }, asLeaver);
  const drop = await campus.register(dropper, { drops: [section] });

  expect(drop).toMatchObject({ status: Status.COMPLETED, items: [{ outcome: Outcome.DROPPED, enrolledBy: '' }] });
  expect(await campus.seats(section)).toEqual({ taken: 0, waitlisted: 0 });
  expect(await campus.told(section)).toEqual(['SectionSeatsChanged', 'WaitlistLeft']);
});

test('validating answers what would happen and takes nothing', async () => {
  const section = await campus.section();
  const student = newStudent();
  const request = requestFrom(student, { adds: [section] });

  const { registration } = await campus.client().validate({ request }, await campus.as(student));

  expect(registration && outcomesOf(registration)).toEqual([Outcome.RESERVED]);
  expect(await campus.seats(section)).toEqual({ taken: 0, waitlisted: 0 });
  expect(await campus.told(request.registrationId)).toEqual([]);
  await expect(campus.registration(request.registrationId)).rejects.toMatchObject({ code: Code.NotFound });
});

test('a student’s live enrollments are listed by term', async () => {
  const [here, elsewhere] = [await campus.section(), await campus.section({ id: `T2-${randomUUID()}`, termId: 'T2' })];
  const student = newStudent();
  for (const section of [here, elsewhere]) await campus.register(student, { adds: [section] });
  const list = async (termId: string) => {
    const { enrollments } = await campus.client().listEnrollments({ studentId: student, termId });
    return enrollments.map(({ sectionId }) => sectionId).sort();
  };

  expect(await list('')).toEqual([here, elsewhere].sort());
  expect(await list('T2')).toEqual([elsewhere]);
});

test.each([
  ['an id that is no UUID', { registrationId: 'mine' }, Code.InvalidArgument],
  ['no section at all', { adds: [] }, Code.InvalidArgument],
  ['a section twice', { adds: ['T1-1', 'T1-1'] }, Code.InvalidArgument],
  ['a section to add and to drop', { adds: ['T1-1'], drops: ['T1-1'] }, Code.InvalidArgument],
  ['more sections than a request may name', { adds: Array.from({ length: 21 }, randomUUID) }, Code.InvalidArgument],
  ['sections of two terms', { adds: ['T1-A1', 'T2-B2'] }, Code.InvalidArgument],
  ['a section id that no text column takes', { adds: ['T1-\0'] }, Code.InvalidArgument],
  ['a swap', { adds: ['T1-1'], drops: ['T1-2'], mode: Mode.ALL_OR_NOTHING }, Code.FailedPrecondition],
])('a request with %s is turned down', async (_case, wish, code) => {
  await expect(campus.register(newStudent(), { adds: ['T1-1'], ...wish })).rejects.toMatchObject({ code });
});

test('what the database could not read again is not kept', async () => {
  const student = newStudent();
  const request = { ...requestFrom(student, { adds: [await campus.section()] }), paymentMethod: '\0' };

  const registering = campus.client().register(request, await campus.as(student));

  await expect(registering).rejects.toMatchObject({ code: Code.InvalidArgument });
  expect(await campus.places(student)).toEqual({});
});
