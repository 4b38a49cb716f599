import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tokenOf } from '#lib/testing';
import { Outcome } from '#proto/enrollment/v1/registration';
import { Campus, newStudent, newStudents, requestFrom } from './campus.testing.ts';

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open();
});
afterAll(async () => {
  expect(await campus.faults()).toEqual([]);
  await campus.close();
});

test('a student registers for nobody else', async () => {
  const request = requestFrom(newStudent(), { adds: [await campus.section()] });
  const asOther = await campus.as(newStudent());
  const denied = { code: Code.PermissionDenied };

  await expect(campus.client().register(request, asOther)).rejects.toMatchObject(denied);
  await expect(campus.client().validate({ request }, asOther)).rejects.toMatchObject(denied);
});

test.each(['instructor', 'system'] as const)(
  'an account whose role is %s registers nobody, itself included',
  async (role) => {
    const account = newStudent();
    const request = requestFrom(account, { adds: [await campus.section()] });
    const options = role === 'system' ? undefined : await campus.as(account, role);
    await expect(campus.client().register(request, options)).rejects.toMatchObject({ code: Code.PermissionDenied });
  },
);

test('another student’s registration and enrollments are not there to see or to change', async () => {
  const [section] = await campus.sections(1, { waitlistCapacity: 1 });
  const [owner, waiting] = [newStudent(), newStudent()];
  const { id: registrationId } = await campus.register(owner, { adds: [section ?? ''] });
  await campus.register(waiting, { adds: [section ?? ''], orWaitlist: true });
  const asOther = await campus.as(newStudent());
  const client = campus.client();
  const notFound = { code: Code.NotFound };
  const denied = { code: Code.PermissionDenied };

  await expect(client.getRegistration({ registrationId }, asOther)).rejects.toMatchObject(notFound);
  await expect(client.cancelRegistration({ registrationId }, asOther)).rejects.toMatchObject(notFound);
  await expect(client.listEnrollments({ studentId: owner }, asOther)).rejects.toMatchObject(denied);
  const leaving = client.leaveWaitlist({ studentId: waiting, sectionId: section ?? '' }, asOther);
  await expect(leaving).rejects.toMatchObject(denied);
  const dropping = client.register(requestFrom(owner, { drops: [section ?? ''] }), asOther);
  await expect(dropping).rejects.toMatchObject(denied);
  expect(await campus.seats(section ?? '')).toEqual({ taken: 1, waitlisted: 1 });
});

test('what belongs to another student answers as what does not exist', async () => {
  const { id } = await campus.register(newStudent(), { adds: [await campus.section()] });
  const asOther = await campus.as(newStudent());
  const answerTo = (registrationId: string) =>
    campus
      .client()
      .getRegistration({ registrationId }, asOther)
      .catch((error: Error) => error.message.replace(registrationId, 'ID'));

  expect(await answerTo(id)).toBe(await answerTo(randomUUID()));
});

test('only the system carries a registration on', async () => {
  const student = newStudent();
  const { id: registrationId } = await campus.register(student, { adds: [await campus.section()] });
  const client = campus.client();

  for (const options of [await campus.as(student), await campus.as('clerk', 'staff')]) {
    const calls = [
      client.reserveSeats({ registrationId }, options),
      client.confirmSeats({ registrationId }, options),
      client.releaseSeats({ registrationId }, options),
      client.finishDrops({ registrationId }, options),
      client.countUndecided({}, options),
      client.registerMany({ entries: [] }, options),
    ];
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(
      calls.map(() => Code.PermissionDenied),
    );
  }
  expect(await campus.places(student)).toMatchObject({
    [Object.keys(await campus.places(student))[0] ?? '']: 'reserved',
  });
});

test('staff register a student whom the platform knows, and no other', async () => {
  const [section] = await campus.sections(1, { capacity: 9 });
  const [known, unknown] = newStudents(2);
  await campus.query('insert into students values ($1)', [known]);
  const asStaff = await campus.as('clerk', 'staff');
  const client = campus.client();
  const forUnknown = requestFrom(unknown ?? '', { adds: [section ?? ''] });

  const { registration } = await client.register(requestFrom(known ?? '', { adds: [section ?? ''] }), asStaff);

  expect(registration?.items[0]?.outcome).toBe(Outcome.RESERVED);
  await expect(client.register(forUnknown, asStaff)).rejects.toMatchObject({ code: Code.NotFound });
  // Nor does asking for something else make a student known.
  const leaving = client.leaveWaitlist({ studentId: unknown ?? '', sectionId: section ?? '' }, asStaff);
  await expect(leaving).rejects.toMatchObject({ code: Code.NotFound });
  await expect(client.register(forUnknown, asStaff)).rejects.toMatchObject({ code: Code.NotFound });
});

test('the log names who asked', async () => {
  const student = newStudent();
  await campus.query('insert into students values ($1)', [student]);
  const request = requestFrom(student, { adds: [await campus.section()] });
  await campus.client().register(request, await campus.as('clerk', 'staff'));

  const [event] = await campus.query('select actor from events where subject = $1', [request.registrationId]);

  expect(event).toEqual({ actor: 'clerk' });
});

test('of many registrations gathered by an edge, each is answered by the right of who asked it', async () => {
  const [section] = await campus.sections(1, { capacity: 9 });
  const [anna, ben, cem] = newStudents(3);
  const wish = { adds: [section ?? ''] };
  const entry = async (token: string, student = '', wished = wish) => ({
    accessToken: token,
    request: requestFrom(student, wished),
    traceparent: '',
  });
  const tokenOfAnna = await tokenOf(anna ?? '', 'student');

  const { answers } = await campus.client().registerMany({
    entries: [
      await entry(tokenOfAnna, anna),
      await entry('not-a-token', ben),
      await entry('', ben),
      await entry(tokenOfAnna, ben),
      await entry(await tokenOf(cem ?? '', 'student'), cem, { adds: ['T1-unknown'] }),
      await entry(tokenOfAnna, anna, { adds: ['T1-1', 'T1-1'] }),
      { accessToken: tokenOfAnna, traceparent: '' },
      await entry(tokenOfAnna, anna, { adds: ['T1-\0'] }),
      { ...(await entry(tokenOfAnna, anna)), traceparent: '\0' },
    ],
  });

  const told = answers.map(({ result }) => {
    if (result.case === 'failure') return Code[result.value.code];
    return result.value?.registration?.items.map(({ reason, outcome }) => reason || outcome);
  });
  expect(told).toEqual([
    [Outcome.RESERVED],
    'Unauthenticated',
    'Unauthenticated',
    'PermissionDenied',
    ['unknown-section'],
    'InvalidArgument',
    'InvalidArgument',
    'InvalidArgument',
    'InvalidArgument',
  ]);
  expect(await campus.seats(section ?? '')).toMatchObject({ taken: 1 });
});

test('an edge gathers no more than a batch', async () => {
  const entries = Array.from({ length: 257 }, () => ({ accessToken: '', traceparent: '' }));
  await expect(campus.client().registerMany({ entries })).rejects.toMatchObject({ code: Code.InvalidArgument });
});
