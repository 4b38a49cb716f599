import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalOf } from '#lib/refusal';
import { EventLogService } from '#proto/eventlog/v1/service';
import { type BookstoreUnderTest, startBookstore } from './testing.ts';

let store: BookstoreUnderTest;
let service: BookstoreUnderTest['service'];
let system: BookstoreUnderTest['system'];

beforeAll(async () => {
  store = await startBookstore();
  ({ service, system } = store);
});
afterAll(() => store.stop());

/** A new material with this many copies. */
async function material(stock: number): Promise<string> {
  const materialId = `material-${randomUUID()}`;
  const price = { amount: 1_000n, currency: 'USD' };
  await system.createMaterial({ materialId, name: `Name of ${materialId}`, price, stock });
  return materialId;
}

/** A new registration that wants these materials, one section each. */
function registration(...materialIds: string[]) {
  const sections = materialIds.map((materialId, index) => ({
    sectionId: `T1-${index}`,
    lines: [{ materialId, quantity: 1 }],
  }));
  return { registrationId: randomUUID(), studentId: 'anna', sections };
}

async function reserveAndComplete(request: ReturnType<typeof registration>): Promise<void> {
  await system.reserveMaterials(request);
  await store.complete(request.registrationId);
}

/** Where the copies are: stock, reserved, issued. */
async function copies(materialId: string): Promise<number[]> {
  const { material } = await system.getMaterial({ materialId });
  return material ? [material.stock, material.reserved, material.issued] : [];
}

async function eventsOf(subject: string): Promise<string[]> {
  const { events } = await service.client(EventLogService).readEvents({ subject });
  return events.map(({ type }) => type.replace('registrar.bookstore.v1.', ''));
}

test('reserving twice sets the copies aside once and tells of it once', async () => {
  const book = await material(5);
  const request = registration(book);

  await system.reserveMaterials(request);
  await system.reserveMaterials(request);

  expect(await copies(book)).toEqual([4, 1, 0]);
  expect(await eventsOf(request.registrationId)).toEqual(['MaterialsReserved']);
});

test('an event tells where the copies are afterwards', async () => {
  const book = await material(5);
  const request = registration(book);

  await system.reserveMaterials(request);

  const { events } = await service.client(EventLogService).readEvents({ subject: request.registrationId });
  expect(JSON.parse(events[0]?.json ?? '')).toMatchObject({
    registrationId: request.registrationId,
    studentId: 'anna',
    materials: [{ id: book, stock: 4, reserved: 1, version: '2' }],
  });
});

test('releasing twice puts the copies back once', async () => {
  const book = await material(5);
  const request = registration(book);
  await system.reserveMaterials(request);

  await system.releaseMaterials(request);
  await system.releaseMaterials(request);

  expect(await copies(book)).toEqual([5, 0, 0]);
  expect(await eventsOf(request.registrationId)).toEqual(['MaterialsReserved', 'MaterialsReleased']);
});

test('a reservation that arrives after its release is refused and takes nothing', async () => {
  const book = await material(5);
  const request = registration(book);
  await system.releaseMaterials(request);

  const late = await system.reserveMaterials(request).catch(refusalOf);

  expect(late).toMatchObject({ reason: 'materials-released' });
  expect(await copies(book)).toEqual([5, 0, 0]);
});

test('a reservation and its release at once leave nothing set aside', async () => {
  const book = await material(5);
  for (const request of Array.from({ length: 8 }, () => registration(book))) {
    const reserving = system.reserveMaterials(request).catch(refusalOf);
    await Promise.all([reserving, system.releaseMaterials(request)]);
    expect(await copies(book)).toEqual([5, 0, 0]);
  }
});

test('releases and hand-overs of one registration at once move its copies once', async () => {
  const [book, other] = [await material(20), await material(20)];
  for (const request of Array.from({ length: 6 }, () => registration(book, other))) {
    await reserveAndComplete(request);
    const release = { ...request, sectionIds: ['T1-0'] };
    const releases = [1, 2, 3].map(() => system.releaseMaterials(release));
    await Promise.all([...releases, ...[1, 2, 3].map(() => system.issueMaterials(request))]);
    expect((await copies(other))[1]).toBe(0);
  }
  const [stock = 0, reserved, issued = 0] = await copies(book);
  expect([stock + issued, reserved]).toEqual([20, 0]);
  expect(await copies(other)).toEqual([14, 0, 6]);
});

test('issuing twice hands the copies over once, and a release does not take them back', async () => {
  const book = await material(5);
  const request = registration(book);
  await reserveAndComplete(request);

  const { materials } = await system.issueMaterials(request);
  expect(await system.issueMaterials(request)).toMatchObject({ materials });
  await system.releaseMaterials(request);

  expect(materials).toMatchObject([{ id: book, stock: 4, reserved: 0, issued: 1 }]);
  expect(await copies(book)).toEqual([4, 0, 1]);
});

test('nothing is handed over for a registration that was released or never came', async () => {
  const request = registration(await material(5));
  await system.reserveMaterials(request);
  await system.releaseMaterials(request);

  expect(await system.issueMaterials(request).catch(refusalOf)).toMatchObject({ reason: 'materials-released' });
  const unknown = system.issueMaterials({ registrationId: randomUUID() });
  await expect(unknown).rejects.toMatchObject({ code: Code.NotFound });
});

test('a registration gets all of its materials or none, and is told which one is missing', async () => {
  const [plenty, none] = [await material(5), await material(0)];
  const request = registration(plenty, none);

  const refusal = await system.reserveMaterials(request).catch(refusalOf);

  expect(refusal).toMatchObject({
    reason: 'materials-out-of-stock',
    message: `The bookstore is out of “Name of ${none}”.`,
    remedy: 'Register without buying materials, or wait until it is back.',
  });
  expect(await copies(plenty)).toEqual([5, 0, 0]);
  expect(await eventsOf(request.registrationId)).toEqual([]);
});

test('a refused reservation can be tried again when the copies are back', async () => {
  const book = await material(0);
  const request = registration(book);
  await system.reserveMaterials(request).catch(refusalOf);
  await system.updateMaterial({ materialId: book, stock: 1 });

  await system.reserveMaterials(request);

  expect(await copies(book)).toEqual([0, 1, 0]);
});

test('copies wanted by several sections, or named twice, count together', async () => {
  const book = await material(4);
  const sections = [
    { sectionId: 'T1-1', lines: [1, 1].map((quantity) => ({ materialId: book, quantity })) },
    { sectionId: 'T1-2', lines: [{ materialId: book, quantity: 2 }] },
    { sectionId: 'T1-1', lines: [{ materialId: book, quantity: 1 }] },
  ];

  const refusal = await system.reserveMaterials({ ...registration(), sections }).catch(refusalOf);
  expect(refusal).toMatchObject({ reason: 'materials-out-of-stock' });
  await system.updateMaterial({ materialId: book, stock: 5 });
  await system.reserveMaterials({ ...registration(), sections });

  expect(await copies(book)).toEqual([0, 5, 0]);
});

test('a drop puts only its section’s copies back, once, and the rest can still be handed over', async () => {
  const [kept, dropped] = [await material(5), await material(5)];
  const request = registration(kept, dropped);
  await reserveAndComplete(request);

  const drop = { ...request, sectionIds: ['T1-1', 'T1-unknown'] };
  await system.releaseMaterials(drop);
  await system.releaseMaterials(drop);
  await system.issueMaterials(request);

  expect(await copies(kept)).toEqual([4, 0, 1]);
  expect(await copies(dropped)).toEqual([5, 0, 0]);
  expect(await eventsOf(request.registrationId)).toEqual(['MaterialsReserved', 'MaterialsReleased', 'MaterialsIssued']);
});

test('a drop is told which of its sections’ copies the student keeps, and so is each repeat of it', async () => {
  const books = await Promise.all([material(5), material(5), material(5)]);
  const request = registration(...books);
  await reserveAndComplete(request);
  const early = await system.releaseMaterials({ ...request, sectionIds: ['T1-0'] });
  await system.issueMaterials(request);

  const drop = { ...request, sectionIds: ['T1-0', 'T1-1'] };
  const answers = [await system.releaseMaterials(drop), await system.releaseMaterials(drop)];

  expect(early.issuedSectionIds).toEqual([]);
  expect(answers.map(({ issuedSectionIds }) => issuedSectionIds)).toEqual([['T1-1'], ['T1-1']]);
  expect(await Promise.all(books.map(copies))).toEqual([
    [5, 0, 0],
    [4, 0, 1],
    [4, 0, 1],
  ]);
});

test('a section that was dropped before the reservation arrived gets no copies', async () => {
  const [kept, dropped] = [await material(5), await material(5)];
  const request = registration(kept, dropped);
  await system.releaseMaterials({ ...request, sectionIds: ['T1-1'] });

  await system.reserveMaterials(request);

  expect(await copies(kept)).toEqual([4, 1, 0]);
  expect(await copies(dropped)).toEqual([5, 0, 0]);
});

test('another student’s registration is not released by mistake', async () => {
  const book = await material(5);
  const request = registration(book);
  await system.reserveMaterials(request);

  const mistaken = system.releaseMaterials({ ...request, studentId: 'ben' });

  await expect(mistaken).rejects.toMatchObject({ code: Code.InvalidArgument });
  expect(await copies(book)).toEqual([4, 1, 0]);
});

test('an unknown material, a quantity of none and an id that is no id are refused', async () => {
  const invalid = { code: Code.InvalidArgument };
  const unknown = await system.reserveMaterials(registration('no-such-book')).catch(refusalOf);
  expect(unknown).toMatchObject({ reason: 'unknown-material' });

  const book = await material(5);
  const sections = [{ sectionId: 'T1-1', lines: [{ materialId: book, quantity: 0 }] }];
  await expect(system.reserveMaterials({ ...registration(), sections })).rejects.toMatchObject(invalid);
  const noId = { ...registration(book), registrationId: 'first' };
  await expect(system.reserveMaterials(noId)).rejects.toMatchObject(invalid);
});
