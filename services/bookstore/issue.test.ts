import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newEvent } from '#lib/event-log';
import { refusalOf } from '#lib/refusal';
import { RegistrationProgressedSchema, RegistrationUndoneSchema } from '#proto/enrollment/v1/events';
import { Materials, Outcome } from '#proto/enrollment/v1/registration';
import { type BookstoreUnderTest, completed, registrationOf, startBookstore } from './testing.ts';

let store: BookstoreUnderTest;

beforeAll(async () => {
  store = await startBookstore();
});
afterAll(() => store.stop());

/** A registration for which one of three copies of a new material is to be set aside. */
async function newReservation() {
  const materialId = `material-${randomUUID()}`;
  const price = { amount: 1_000n, currency: 'USD' };
  await store.system.createMaterial({ materialId, name: materialId, price, stock: 3 });
  const sections = [{ sectionId: 'T1-0', lines: [{ materialId, quantity: 1 }] }];
  return { registrationId: randomUUID(), studentId: 'anna', sections, materialId };
}

async function reserved() {
  const request = await newReservation();
  await store.system.reserveMaterials(request);
  return request;
}

async function issueRefusal(registrationId: string) {
  const answer = await store.system.issueMaterials({ registrationId }).catch((error) => refusalOf(error) ?? error);
  return answer.reason;
}

/** Where the copies are: stock, reserved, issued. */
async function copies({ materialId }: { materialId: string }): Promise<number[]> {
  const { material } = await store.system.getMaterial({ materialId });
  return material ? [material.stock, material.reserved, material.issued] : [];
}

test('a pending registration gets nothing over the counter, and is told to wait', async () => {
  const request = await reserved();

  const refusal = await store.system.issueMaterials(request).catch(refusalOf);

  expect(refusal).toMatchObject({
    reason: 'registration-pending',
    message: 'This registration is not completed yet.',
    remedy: 'Wait until the registration is completed.',
  });
  expect(await copies(request)).toEqual([2, 1, 0]);
});

test('a pending registration that asked at the counter and is then undone leaves no copy with the student', async () => {
  const request = await reserved();
  await issueRefusal(request.registrationId);

  await store.system.releaseMaterials({ ...request });

  expect(await copies(request)).toEqual([3, 0, 0]);
  expect(await issueRefusal(request.registrationId)).toBe('materials-released');
});

test('a completed registration gets its copies, once', async () => {
  const request = await reserved();
  await store.complete(request.registrationId);

  await Promise.all([store.system.issueMaterials(request), store.system.issueMaterials(request)]);
  await store.system.issueMaterials(request);

  expect(await copies(request)).toEqual([2, 0, 1]);
});

test('a completion that is heard of before the reservation is remembered', async () => {
  const request = await newReservation();
  await store.complete(request.registrationId);

  await store.system.reserveMaterials(request);
  await store.system.issueMaterials(request);

  expect(await copies(request)).toEqual([2, 0, 1]);
});

test('the completion of another registration, and anything else that is told of this one, changes nothing', async () => {
  const request = await reserved();
  const { registrationId: id } = request;
  const about = { subject: id, actor: 'service:worker' };
  const registration = registrationOf({ id });

  await store.complete(randomUUID());
  await store.tell(
    newEvent(RegistrationProgressedSchema, about, { registration }),
    newEvent(RegistrationUndoneSchema, about, { registration }),
  );

  expect(await issueRefusal(id)).toBe('registration-pending');
});

test('a registration that is told of twice at once is remembered once', async () => {
  const request = await reserved();
  const { registrationId: id } = request;

  await store.tell(completed({ id }), completed({ id }));
  await store.system.issueMaterials(request);

  expect(await copies(request)).toEqual([2, 0, 1]);
});

test('of completed registrations that buy nothing no reservation is made', async () => {
  const [none, noMaterials, notEnrolled] = [randomUUID(), randomUUID(), randomUUID()];
  const materials = [{ materialId: 'some-book', quantity: 1 }];

  await store.tell(
    completed({ id: none, materials: Materials.NONE }),
    completed({ id: noMaterials, items: [{ sectionId: 'T1-0', outcome: Outcome.ENROLLED }] }),
    completed({ id: notEnrolled, items: [{ sectionId: 'T1-0', outcome: Outcome.WAITLISTED, materials }] }),
  );

  const rows = await store.service.parts.database.query(
    'select from reservations where registration_id = any($1::uuid[])',
    [[none, noMaterials, notEnrolled]],
  );
  expect(rows).toEqual([]);
});
