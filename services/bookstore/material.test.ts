import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalOf } from '#lib/refusal';
import { type ServiceUnderTest, tokenOf } from '#lib/testing';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { EventLogService } from '#proto/eventlog/v1/service';
import { type BookstoreUnderTest, startBookstore } from './testing.ts';

let store: BookstoreUnderTest;
let service: ServiceUnderTest;
let system: ReturnType<typeof service.client<typeof BookstoreService>>;
let staff: typeof system;
let student: typeof system;

beforeAll(async () => {
  store = await startBookstore();
  ({ service, system } = store);
  staff = service.client(BookstoreService, await tokenOf('boss', 'staff'));
  student = service.client(BookstoreService, await tokenOf('anna', 'student'));
});
afterAll(() => store.stop());

function textbook(materialId: string, stock = 10) {
  return { materialId, name: `Book ${materialId}`, price: { amount: 4_500n, currency: 'USD' }, stock };
}

async function eventsOf(subject: string): Promise<string[]> {
  const { events } = await service.client(EventLogService).readEvents({ subject });
  return events.map(({ type }) => type.replace('registrar.bookstore.v1.', ''));
}

test('staff put a material on the list, and a student sees it', async () => {
  await staff.createMaterial(textbook('algebra'));

  const { material } = await student.getMaterial({ materialId: 'algebra' });

  expect(material).toMatchObject({
    name: 'Book algebra',
    price: { amount: 4_500n, currency: 'USD' },
    ...{ stock: 10, reserved: 0, issued: 0, version: 1n, removed: false },
  });
});

test('creating again with the same content answers the material as it is now; other content is refused', async () => {
  await staff.createMaterial(textbook('biology'));
  await staff.updateMaterial({ materialId: 'biology', stock: 7 });

  expect((await staff.createMaterial(textbook('biology'))).material?.stock).toBe(7);
  await expect(staff.createMaterial(textbook('biology', 11))).rejects.toMatchObject({ code: Code.AlreadyExists });
  expect(await eventsOf('biology')).toEqual(['MaterialChanged', 'MaterialChanged']);
});

test('of creations of one material at once each succeeds, and one tells of it', async () => {
  await Promise.all(Array.from({ length: 10 }, () => staff.createMaterial(textbook('chemistry'))));
  expect(await eventsOf('chemistry')).toEqual(['MaterialChanged']);
});

test('an update changes what is set and keeps the rest', async () => {
  await staff.createMaterial(textbook('drawing'));

  await staff.updateMaterial({ materialId: 'drawing', price: { amount: 5_000n, currency: 'EUR' } });
  const { material } = await staff.updateMaterial({ materialId: 'drawing', name: 'Drawing, second edition', stock: 3 });

  expect(material).toMatchObject({ name: 'Drawing, second edition', stock: 3, version: 3n });
  expect(material?.price).toMatchObject({ amount: 5_000n, currency: 'EUR' });
  const [row] = await service.parts.database.query("select received from materials where id = 'drawing'");
  expect(row).toEqual({ received: 3 });
});

test('of two who change the same version the second is told so', async () => {
  await staff.createMaterial(textbook('economics'));
  const change = (name: string) => staff.updateMaterial({ materialId: 'economics', name, expectedVersion: 1n });

  const answers = await Promise.allSettled([change('one'), change('two')]);

  const refused = answers.filter((answer) => answer.status === 'rejected');
  expect(refused).toEqual([{ status: 'rejected', reason: expect.objectContaining({ code: Code.Aborted }) }]);
});

test('a material that somebody waits for stays on the list; without them it goes, once', async () => {
  await staff.createMaterial(textbook('french'));
  const registration = { registrationId: randomUUID(), studentId: 'anna' };
  const sections = [{ sectionId: 'T1-1', lines: [{ materialId: 'french', quantity: 2 }] }];
  await system.reserveMaterials({ ...registration, sections });

  const refused = await staff.removeMaterial({ materialId: 'french' }).catch(refusalOf);
  expect(refused).toMatchObject({ reason: 'material-reserved' });

  await system.releaseMaterials(registration);
  await staff.removeMaterial({ materialId: 'french' });
  await staff.removeMaterial({ materialId: 'french' });

  expect(await eventsOf('french')).toEqual(['MaterialChanged', 'MaterialRemoved']);
  await expect(student.getMaterial({ materialId: 'french' })).rejects.toMatchObject({ code: Code.NotFound });
  await expect(staff.updateMaterial({ materialId: 'french' })).rejects.toMatchObject({ code: Code.NotFound });
  const later = { registrationId: randomUUID(), studentId: 'anna', sections };
  expect(await system.reserveMaterials(later).catch(refusalOf)).toMatchObject({ reason: 'unknown-material' });
});

test('the list comes in pages, in order of ids', async () => {
  for (const id of ['page-3', 'page-1', 'page-2']) await staff.createMaterial(textbook(id));
  const ids = async (limit: number, afterId: string) =>
    (await student.listMaterials({ limit, afterId })).materials.map(({ id }) => id);

  expect(await ids(2, 'page-')).toEqual(['page-1', 'page-2']);
  expect((await ids(500, 'page-2'))[0]).toBe('page-3');
  expect((await ids(501, 'page-2'))[0]).toBe('page-3');
  await expect(ids(-1, '')).rejects.toMatchObject({ code: Code.InvalidArgument });
});

test.each([
  ['material_id', { materialId: '' }],
  ['name', { name: ' ' }],
  ['price', { price: { amount: -1n, currency: 'USD' } }],
  ['price', { price: { amount: 1n, currency: 'dollars' } }],
  ['stock', { stock: -1 }],
])('a bad %s is refused by that name', async (field, fault) => {
  const bad = staff.createMaterial({ ...textbook('bad'), ...fault });
  await expect(bad).rejects.toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringContaining(field) });
});

test('a student changes nothing, and who has no token sees nothing', async () => {
  await staff.createMaterial(textbook('geology'));
  const registration = { registrationId: randomUUID(), studentId: 'anna' };
  const denied = { code: Code.PermissionDenied };

  await expect(student.createMaterial(textbook('mine'))).rejects.toMatchObject(denied);
  await expect(student.updateMaterial({ materialId: 'geology', stock: 0 })).rejects.toMatchObject(denied);
  await expect(student.removeMaterial({ materialId: 'geology' })).rejects.toMatchObject(denied);
  await expect(student.issueMaterials(registration)).rejects.toMatchObject(denied);
  for (const caller of [student, staff]) {
    await expect(caller.reserveMaterials(registration)).rejects.toMatchObject(denied);
    await expect(caller.releaseMaterials(registration)).rejects.toMatchObject(denied);
  }
  const nobody = service.client(BookstoreService, 'not-a-token');
  await expect(nobody.listMaterials({})).rejects.toMatchObject({ code: Code.Unauthenticated });
});
