import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { SectionStatus } from '#proto/catalog/v1/catalog';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { Campus, newStudent, newStudents } from './campus.testing.ts';

const INSTANCES = 2;

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open(INSTANCES);
});
afterAll(async () => {
  expect(await campus.faults()).toEqual([]);
  await campus.close();
});

async function cancel(id: string, capacity = 1): Promise<void> {
  await campus.section({ id, capacity, waitlistCapacity: 5, status: SectionStatus.CANCELLED });
}

async function untilEmpty(id: string): Promise<void> {
  const isEmpty = async () => JSON.stringify(await campus.seats(id)) === JSON.stringify({ taken: 0, waitlisted: 0 });
  await eventually(isEmpty, { what: `an empty ${id}`, timeoutMs: 60_000 });
}

/** Registrations that dropped a section, by student, as the log tells. */
async function dropsOf(id: string): Promise<{ student: string; actor: string; body: string }[]> {
  return campus.query(
    `select data #>> '{registration,studentId}' as student, actor, data #>> '{registration,items}' as body from events
     where type = 'registrar.enrollment.v1.RegistrationDecided' and data #>> '{registration,items,0,sectionId}' = $1
       and data #>> '{registration,items,0,action}' = 'ACTION_DROP' order by student`,
    [id],
  );
}

test('who is in a cancelled section is dropped, and who waits for it waits no more; each is told why', async () => {
  const id = await campus.section({ waitlistCapacity: 5 });
  const [inside, waiting] = [newStudent(), newStudent()];
  await campus.enroll(inside, id);
  const client = campus.client();
  await campus.register(waiting, { adds: [id], orWaitlist: true });

  await cancel(id);
  await untilEmpty(id);

  expect([await campus.places(inside), await campus.places(waiting)]).toEqual([{}, {}]);
  const drops = await dropsOf(id);
  expect(drops.map(({ student, actor }) => [student, actor])).toEqual(
    [inside, waiting].sort().map((student) => [student, 'service:enrollment']),
  );
  for (const { body } of drops)
    expect(JSON.parse(body)).toMatchObject([{ reason: 'section-cancelled', sectionCancelled: true }]);
  // The one has a price to be paid back, the other has none.
  const { registrations } = await client.listPendingRegistrations({});
  expect(registrations.filter(({ items }) => items[0]?.sectionId === id).map(({ studentId }) => studentId)).toEqual([
    inside,
  ]);
});

test('a seat that is reserved is enrolled first, and then dropped', async () => {
  const id = await campus.section();
  const student = newStudent();
  const { id: registrationId } = await campus.register(student, { adds: [id] });
  const other = await campus.section();
  await campus.enroll(newStudent(), other);

  await cancel(id);
  await cancel(other);
  await untilEmpty(other);
  expect(await campus.places(student)).toEqual({ [id]: 'reserved' });

  await campus.client().confirmSeats({ registrationId });
  await untilEmpty(id);
  expect((await campus.registration(registrationId)).status).toBe(Status.COMPLETED);
});

test('a crowd is dropped once each, however many instances look', async () => {
  const students = newStudents(150);
  const id = await campus.section({ capacity: students.length });
  await Promise.all(students.map((student, n) => enrollAt(n % INSTANCES, student, id)));

  await cancel(id, students.length);
  await untilEmpty(id);

  expect((await dropsOf(id)).map(({ student }) => student)).toEqual(students.sort());
});

async function enrollAt(instance: number, student: string, section: string): Promise<void> {
  const { id: registrationId } = await campus.register(student, { adds: [section] }, { instance });
  await campus.client(instance).confirmSeats({ registrationId });
}

test('a section that is closed keeps its students', async () => {
  const [closed, cancelled] = [await campus.section(), await campus.section()];
  const student = newStudent();
  await campus.enroll(student, closed);
  await campus.enroll(newStudent(), cancelled);

  await campus.section({ id: closed, status: SectionStatus.CLOSED });
  await cancel(cancelled);
  await untilEmpty(cancelled);

  expect(await campus.places(student)).toEqual({ [closed]: 'enrolled' });
});
