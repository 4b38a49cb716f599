import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Person, type PlatformUnderTest, startPlatform } from './platform.testing.ts';

let platform: PlatformUnderTest;

beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

const staff: Person = { id: 'registrar', roles: ['staff'] };
const student: Person = { id: 'anna', roles: ['student'] };
const book = { name: 'Introduction to Algorithms', price: { amount: 8999, currency: 'USD' }, stock: 12 };

function create(payload: object, headers: Record<string, string> = {}, as: Person | undefined = staff) {
  return platform.ask({ method: 'POST', url: '/v1/materials', payload, headers, ...(as && { as }) });
}

function change(url: string, payload: object, headers: Record<string, string> = {}) {
  return platform.ask({ method: 'PATCH', url, payload, headers, as: staff });
}

test('staff add a product, and everybody with an account reads it', async () => {
  const answer = await create(book);

  expect(answer.statusCode).toBe(201);
  const url = String(answer.headers.location);
  const read = await platform.ask({ url, as: student });
  expect(read.json()).toEqual({ id: answer.json().id, ...book, reserved: 0, issued: 0 });
  expect(read.headers.etag).toBe(answer.headers.etag);
  expect((await platform.ask({ url })).statusCode).toBe(401);
  expect((await platform.ask({ url: '/v1/materials/none', as: student })).statusCode).toBe(404);
});

test('adding a product twice under one key adds it once', async () => {
  const headers = { 'idempotency-key': randomUUID() };

  const first = await create(book, headers);
  const again = await create(book, headers);
  const other = await create({ ...book, stock: 1 }, headers);

  expect(again.json()).toEqual(first.json());
  expect(other.statusCode).toBe(422);
  expect((await create(book)).json().id).not.toBe(first.json().id);
});

test('a change that names an older version is refused', async () => {
  const made = await create(book);
  const url = String(made.headers.location);
  const etag = String(made.headers.etag);

  const changed = await change(url, { stock: 20 }, { 'if-match': etag });
  const stale = await change(url, { stock: 30 }, { 'if-match': etag });

  expect(changed.json()).toMatchObject({ ...book, stock: 20 });
  expect(changed.headers.etag).not.toBe(etag);
  expect(stale.statusCode).toBe(412);
  expect(stale.json()).toMatchObject({ code: 'changed-meanwhile' });
  expect((await change(url, { name: 'Second edition' })).json()).toMatchObject({ name: 'Second edition', stock: 20 });
  expect((await change(url, { stock: 1 }, { 'if-match': 'W/"1"' })).statusCode).toBe(400);
  expect((await change('/v1/materials/none', { stock: 1 })).statusCode).toBe(404);
});

test('a product that is taken off the list is gone', async () => {
  const url = String((await create(book)).headers.location);
  const remove = () => platform.ask({ method: 'DELETE', url, as: staff });

  expect((await remove()).statusCode).toBe(204);
  expect((await platform.ask({ url, as: student })).statusCode).toBe(404);
});

test('products are listed page by page', async () => {
  const made = [];
  for (const id of ['page-a', 'page-b', 'page-c']) made.push((await create({ id, ...book })).json());
  const read: unknown[] = [];
  let url = '/v1/materials?limit=2';
  for (let page = 0; page < 50; page++) {
    const { items, nextCursor } = (await platform.ask({ url, as: student })).json();
    read.push(...items);
    if (nextCursor === undefined) break;
    url = `/v1/materials?limit=2&cursor=${nextCursor}`;
  }

  expect(read).toEqual(expect.arrayContaining(made));
  expect(new Set(read.map((item) => JSON.stringify(item))).size).toBe(read.length);
});

test('only staff change the bookstore, and only by what it knows', async () => {
  expect((await create(book, {}, student)).statusCode).toBe(403);
  expect((await create({ ...book, colour: 'red' })).json().fields).toEqual([
    { path: 'colour', message: 'is not known here' },
  ]);
  expect((await create({ ...book, stock: -1 })).statusCode).toBe(400);
  expect((await create({ ...book, stock: '5' })).statusCode).toBe(400);
  expect((await create({ ...book, price: { amount: 1.5, currency: 'USD' } })).statusCode).toBe(400);
  expect((await create({ name: 'No price' })).statusCode).toBe(400);
});

test('with the bookstore away materials fail by name, and nothing else', async () => {
  await platform.services.get('bookstore')?.stop();
  platform.services.delete('bookstore');

  const answer = await platform.ask({ url: '/v1/materials', as: student });

  expect(answer.statusCode).toBe(503);
  expect(answer.json()).toMatchObject({ code: 'bookstore-unavailable' });
  expect((await platform.ask({ url: '/v1/registrations', as: student })).statusCode).toBe(200);
});
