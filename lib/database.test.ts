import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction, openDatabase, queryOf } from './database.ts';
import { freshDatabase } from './testing.ts';

let pool: pg.Pool;

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: await freshDatabase('texts') });
});
afterAll(() => pool.end());

test('a statement that nobody has limited ends by itself, and a transaction may set a limit of its own', async () => {
  const database = await openDatabase(await freshDatabase('limits'));
  const shown = 'show statement_timeout';
  const [ofPool] = await database.query(shown);
  const [ofEntities] = await database.orm.em.fork().execute(shown);
  const [ofTransaction] = await inTransaction(database.pool, { timeoutMs: 30_000 }, (query) => query(shown));
  await database.close();

  expect([ofPool, ofEntities]).toEqual([{ statement_timeout: '15s' }, { statement_timeout: '15s' }]);
  expect(ofTransaction).toEqual({ statement_timeout: '30s' });
});

test('any texts come back from Postgres as they were handed over', async () => {
  const query = queryOf(pool);
  // The one character that Postgres has no text for.
  const text = fc.string({ unit: 'grapheme' }).filter((value) => !value.includes('\0'));
  const awkward = fc.constantFrom('', 'null', 'NULL', '"', '\\', '{}', 'a,b', '\\"', ' ', '\n', "'", '$1');
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(text, awkward)), async (texts) => {
      const [row] = await query<{ texts: string[] }>('select $1::text[] as texts', [texts]);
      expect(row?.texts).toEqual(texts);
    }),
  );
});
