import { type AddressInfo, createServer } from 'node:net';
import { Code } from '@connectrpc/connect';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { isAway } from './database-error.ts';
import { toConnectError } from './interceptors.ts';

/** What a pool meets that is asked at this URL. */
async function failureAt(connectionString: string, statement = 'select 1'): Promise<unknown> {
  const pool = new pg.Pool({ connectionString, connectionTimeoutMillis: 500, max: 1 });
  pool.on('error', () => undefined);
  try {
    return await pool.query(statement).then(
      () => 'it answered',
      (error: unknown) => error,
    );
  } finally {
    await pool.end();
  }
}

test.each([
  ['whose name nobody knows', 'postgres://nowhere.invalid/x'],
  ['that refuses connections', 'postgres://127.0.0.1:9/x'],
])('a database %s is away', async (_case, url) => {
  const failure = await failureAt(url);
  expect(isAway(failure)).toBe(true);
  expect(toConnectError(failure).code).toBe(Code.Unavailable);
});

test('a database that accepts connections and says nothing is away', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const { port } = silent.address() as AddressInfo; // it listens on TCP
  const failure = await failureAt(`postgres://127.0.0.1:${port}/x`);
  silent.close();
  expect(isAway(failure)).toBe(true);
});

test('a database that ends a connection is away', async () => {
  const failure = await failureAt(inject('primaryUrl'), 'select pg_terminate_backend(pg_backend_pid())');
  expect(isAway(failure)).toBe(true);
  expect(toConnectError(failure).code).toBe(Code.Unavailable);
});

test('a database that does not exist, and a statement that is wrong, are not away', async () => {
  const nowhere = new URL(inject('primaryUrl'));
  nowhere.pathname = '/no_such_database';
  expect(isAway(await failureAt(nowhere.href))).toBe(false);
  expect(isAway(await failureAt(inject('primaryUrl'), 'select nothing'))).toBe(false);
  expect(await failureAt(inject('primaryUrl'), "select '\0'")).toMatchObject({ code: '08P01' });
  expect(isAway(await failureAt(inject('primaryUrl'), "select '\0'"))).toBe(false);
});
