import type { FastifyInstance } from 'fastify';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, freshDatabase } from '#lib/testing';
import { buildProvider } from './app.ts';
import { createBook } from './schema.ts';

const SLOW_MS = 300;
let pool: pg.Pool;
let app: FastifyInstance;
let charges = 0;

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: await freshDatabase('provider') });
  await Promise.all([createBook(pool), createBook(pool)]);
  app = buildProvider({ pool, slowMs: SLOW_MS });
  await app.listen({ host: '127.0.0.1', port: 0 });
});

afterAll(async () => {
  await app.close();
  await pool.end();
});

function newCharge(card: string, amount = 12_500) {
  charges += 1;
  return { key: `charge ${charges}/${card}`, amount, currency: 'USD', card, description: 'Fall 2026' };
}

async function send(method: 'GET' | 'POST' | 'PUT', path: string, payload?: object) {
  const answer = await app.inject({ method, url: path, ...(payload ? { payload } : {}) });
  return { status: answer.statusCode, body: answer.json(), headers: answer.headers };
}

const pathOf = (charge: { key: string }) => `/charges/${encodeURIComponent(charge.key)}`;

test('a charge is taken once, however often and however close together it is asked for', async () => {
  const charge = newCharge('tok_ok');
  const answers = await Promise.all(Array.from({ length: 20 }, () => send('POST', '/charges', charge)));
  const outcome = { key: charge.key, status: 'charged', charged: 12_500, refunded: 0 };
  for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: outcome });
  expect(await send('GET', pathOf(charge))).toMatchObject({ status: 200, body: outcome });
});

test('a key that was used for other content is refused, and the first content stands', async () => {
  const charge = newCharge('tok_ok');
  await send('POST', '/charges', charge);
  for (const other of [{ amount: 1 }, { currency: 'EUR' }, { card: 'tok_slow' }, { description: 'Spring' }]) {
    expect(await send('POST', '/charges', { ...charge, ...other })).toMatchObject({
      status: 409,
      body: { code: 'other-content' },
    });
  }
  expect(await send('GET', pathOf(charge))).toMatchObject({ body: { charged: 12_500 } });
});

test.each([
  ['tok_declined', 402, 'card-declined'],
  ['tok_insufficient_funds', 402, 'insufficient-funds'],
  ['tok_nobody_has', 422, 'unknown-card'],
])('%s takes nothing and answers %i %s each time', async (card, status, code) => {
  const charge = newCharge(card);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    expect(await send('POST', '/charges', charge)).toMatchObject({ status, body: { code } });
  }
  const { rows } = await pool.query('select 1 from charges where key = $1 and charged > 0', [charge.key]);
  expect(rows).toEqual([]);
});

test('tok_slow takes the money before its late answer, and answers a repeat at once', async () => {
  const charge = newCharge('tok_slow');
  const askedAtMs = performance.now();
  const late = send('POST', '/charges', charge);
  await eventually(async () => (await send('GET', pathOf(charge))).status === 200);
  expect(await send('POST', '/charges', charge)).toMatchObject({ status: 200, body: { status: 'charged' } });
  expect(await late).toMatchObject({ status: 200, body: { status: 'charged' } });
  expect(performance.now() - askedAtMs).toBeGreaterThanOrEqual(SLOW_MS - 1);
});

test('tok_timeout_charged takes the money without an answer; the repeat is answered and takes no more', async () => {
  const charge = newCharge('tok_timeout_charged');
  const patience = new AbortController();
  const first = fetch(`${app.listeningOrigin}/charges`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(charge),
    signal: patience.signal,
  });
  await eventually(async () => (await send('GET', pathOf(charge))).body.charged === 12_500);
  expect(await send('POST', '/charges', charge)).toMatchObject({ status: 200, body: { charged: 12_500 } });
  patience.abort();
  await expect(first).rejects.toThrow();
});

test('tok_flaky fails twice and then works, counted in the book so that a restart does not forget', async () => {
  const charge = newCharge('tok_flaky');
  const second = buildProvider({ pool });
  expect((await send('POST', '/charges', charge)).status).toBe(503);
  expect((await second.inject({ method: 'POST', url: '/charges', payload: charge })).statusCode).toBe(503);
  expect(await send('POST', '/charges', charge)).toMatchObject({ status: 200, body: { charged: 12_500 } });
  await second.close();
});

test('refunds happen once per key and never exceed the charge, also when they race', async () => {
  const charge = newCharge('tok_ok', 1_000);
  await send('POST', '/charges', charge);
  const path = `${pathOf(charge)}/refunds`;
  for (let attempt = 0; attempt < 2; attempt += 1) {
    expect(await send('POST', path, { key: 'a', amount: 400 })).toMatchObject({ status: 200, body: { amount: 400 } });
  }
  expect((await send('POST', path, { key: 'a', amount: 401 })).status).toBe(409);
  const racing = ['b', 'c', 'd', 'e'].map((key) => send('POST', path, { key, amount: 300 }));
  const statuses = (await Promise.all(racing)).map((answer) => answer.status).sort();
  expect(statuses).toEqual([200, 200, 422, 422]);
  expect(await send('GET', pathOf(charge))).toMatchObject({ body: { charged: 1_000, refunded: 1_000 } });
});

test('a refund of a charge nobody made is not found, and one of a declined charge is more than was taken', async () => {
  expect((await send('POST', '/charges/nobody/refunds', { key: 'a', amount: 1 })).status).toBe(404);
  const declined = newCharge('tok_declined');
  await send('POST', '/charges', declined);
  expect((await send('POST', `${pathOf(declined)}/refunds`, { key: 'a', amount: 1 })).status).toBe(422);
});

test('a void gives back what is left, once, and the charge cannot come back', async () => {
  const charge = newCharge('tok_ok', 1_000);
  await send('POST', '/charges', charge);
  await send('POST', `${pathOf(charge)}/refunds`, { key: 'drop', amount: 250 });
  const voided = { status: 'voided', charged: 1_000, refunded: 1_000 };
  for (let attempt = 0; attempt < 2; attempt += 1) {
    expect(await send('POST', `${pathOf(charge)}/void`)).toMatchObject({ status: 200, body: voided });
  }
  expect(await send('POST', '/charges', charge)).toMatchObject({ status: 410, body: { code: 'charge-voided' } });
  const { rows } = await pool.query('select key, amount::int from refunds where charge_key = $1 order by key', [
    charge.key,
  ]);
  expect(rows).toEqual([
    { key: 'drop', amount: 250 },
    { key: 'void', amount: 750 },
  ]);
});

test('a void that comes first refuses the charge that arrives late', async () => {
  const charge = newCharge('tok_ok');
  expect(await send('POST', `${pathOf(charge)}/void`)).toMatchObject({ status: 200, body: { charged: 0 } });
  expect((await send('POST', '/charges', charge)).status).toBe(410);
  expect(await send('GET', pathOf(charge))).toMatchObject({ body: { status: 'voided', charged: 0, refunded: 0 } });
});

test('a void that meets a flaky charge between its attempts ends it', async () => {
  const charge = newCharge('tok_flaky');
  await send('POST', '/charges', charge);
  await send('POST', `${pathOf(charge)}/void`);
  for (let attempt = 0; attempt < 3; attempt += 1) expect((await send('POST', '/charges', charge)).status).toBe(410);
});

test('a charge and its void that race leave nothing taken', async () => {
  const raced = Array.from({ length: 20 }, () => newCharge('tok_ok'));
  await Promise.all(
    raced.flatMap((charge) => [send('POST', '/charges', charge), send('POST', `${pathOf(charge)}/void`)]),
  );
  for (const charge of raced) {
    const { body } = await send('GET', pathOf(charge));
    expect(body).toMatchObject({ status: 'voided', refunded: body.charged });
  }
});

test('the book lists every charge once with its refunds, page by page, and its totals agree', async () => {
  const charge = newCharge('tok_ok', 900);
  await send('POST', '/charges', charge);
  await send('POST', `${pathOf(charge)}/refunds`, { key: 'a', amount: 300 });
  const first = await send('GET', '/book?limit=3');
  const items = [...first.body.items];
  let cursor = first.body.nextCursor;
  while (cursor) {
    const { body } = await send('GET', `/book?limit=3&cursor=${encodeURIComponent(cursor)}`);
    items.push(...body.items);
    cursor = body.nextCursor;
  }
  expect(new Set(items.map((item) => item.key)).size).toBe(items.length);
  expect(items.find((item) => item.key === charge.key)).toMatchObject({
    charged: 900,
    refunds: [{ key: 'a', amount: 300 }],
  });
  const sum = (field: 'charged' | 'refunded') => items.reduce((total, item) => total + item[field], 0);
  expect(first.body.totals).toMatchObject([{ currency: 'USD', charged: sum('charged'), refunded: sum('refunded') }]);
});

test('while down the provider refuses to touch money and says when to come back; the book stays readable', async () => {
  const charge = newCharge('tok_ok');
  expect((await send('PUT', '/mode', { mode: 'down' })).status).toBe(200);
  expect(await send('POST', '/charges', charge)).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  expect((await send('POST', `${pathOf(charge)}/void`)).status).toBe(503);
  expect((await send('GET', '/book')).status).toBe(200);
  expect(await send('GET', '/healthz')).toMatchObject({ status: 200, body: { mode: 'down' } });
  await send('PUT', '/mode', { mode: 'normal' });
  expect((await send('GET', pathOf(charge))).status).toBe(404);
});

test('a slow provider does as asked, later', async () => {
  await send('PUT', '/mode', { mode: 'slow' });
  const askedAtMs = performance.now();
  const answer = await send('POST', '/charges', newCharge('tok_ok'));
  await send('PUT', '/mode', { mode: 'normal' });
  expect(answer.status).toBe(200);
  expect(performance.now() - askedAtMs).toBeGreaterThanOrEqual(SLOW_MS - 1);
});

test.each([{ amount: 0 }, { amount: 1.5 }, { amount: '12500' }, { currency: 'usd' }, { key: '' }, { surprise: true }])(
  'a charge with %j is malformed',
  async (change) => {
    expect(await send('POST', '/charges', { ...newCharge('tok_ok'), ...change })).toMatchObject({
      status: 400,
      body: { code: 'malformed' },
    });
  },
);

test('the database itself refuses a refund beyond the charge and money on a declined card', async () => {
  const charge = newCharge('tok_ok');
  const declined = newCharge('tok_declined');
  await send('POST', '/charges', charge);
  await send('POST', '/charges', declined);
  const write = (sql: string, key: string) => pool.query(sql, [key]);
  await expect(write('update charges set refunded = charged + 1 where key = $1', charge.key)).rejects.toThrow(
    'refunded_is_covered',
  );
  await expect(write('update charges set refunded = -1 where key = $1', charge.key)).rejects.toThrow(
    'refunded_is_covered',
  );
  await expect(write('update charges set charged = amount where key = $1', declined.key)).rejects.toThrow(
    'nothing_taken',
  );
});
