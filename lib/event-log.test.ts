import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, inTransaction, openDatabase, type Query } from './database.ts';
import { append, EVENT_BYTES_MAX, headPosition, LogHead, type NewEvent, readEvents } from './event-log.ts';
import { eventually, freshDatabase } from './testing.ts';

const WRITERS = 8;
const TRANSACTIONS = 30;
const PAGE_MAX = 50;

let database: Database;

beforeAll(async () => {
  database = await openDatabase(await freshDatabase('event_log'));
});
afterAll(() => database.close());

function event(subject: string): NewEvent {
  return { type: 'test.Happened', subject, actor: 'tester', traceparent: '', json: '{}' };
}

class RolledBack extends Error {}

/** Writers that append one to three events at once and roll some back, beside a reader; answers what the reader saw, in its order. */
async function readWhileWritten(
  write: (query: Query, count: number) => Promise<unknown>,
  read: (after: bigint) => Promise<bigint[]>,
): Promise<bigint[]> {
  let writing = true;
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let n = 0; n < TRANSACTIONS; n++) {
      await inTransaction(database.pool, { timeoutMs: undefined }, async (query) => {
        await write(query, 1 + ((writer + n) % 3));
        if ((writer * n) % 4 === 1) throw new RolledBack();
      }).catch((error: unknown) => {
        if (!(error instanceof RolledBack)) throw error;
      });
    }
  });
  const reader = (async () => {
    const seen: bigint[] = [];
    for (;;) {
      const isLast = !writing;
      const page = await read(seen.at(-1) ?? 0n);
      seen.push(...page);
      if (isLast && page.length === 0) return seen;
    }
  })();
  await Promise.all(writers);
  writing = false;
  return reader;
}

function isGapless(positions: bigint[]): boolean {
  return positions.every((position, index) => position === BigInt(index + 1));
}

test('a reader beside eight writers who roll back at random sees every event once, in order and without gaps', async () => {
  const seen = await readWhileWritten(
    (query, count) =>
      append(
        query,
        Array.from({ length: count }, () => event('storm')),
      ),
    async (after) => (await readEvents(database.query, { after, limit: PAGE_MAX })).map(({ position }) => position),
  );

  expect(isGapless(seen)).toBe(true);
  expect(BigInt(seen.length)).toBe(await headPosition(database.query));
});

test('the same writers and reader find gaps in a table numbered by a sequence: the test above can fail', async () => {
  await database.query('create table naive_events (position bigint generated always as identity)');

  const seen = await readWhileWritten(
    (query, count) => query('insert into naive_events select from generate_series(1, $1)', [count]),
    async (after) => {
      const sql = 'select position from naive_events where position > $1 order by position limit $2';
      const rows = await database.query<{ position: string }>(sql, [after, PAGE_MAX]);
      return rows.map(({ position }) => BigInt(position));
    },
  );

  expect(isGapless(seen)).toBe(false);
});

test('events are read by page and by subject', async () => {
  const before = await headPosition(database.query);
  const last = await inTransaction(database.pool, { timeoutMs: undefined }, (query) =>
    append(query, ['ann', 'ben', 'ann'].map(event)),
  );

  const page = await readEvents(database.query, { after: before, limit: 2 });
  const ofAnn = await readEvents(database.query, { after: before, limit: 9, subject: 'ann' });

  expect(last).toBe(before + 3n);
  expect(page.map(({ subject }) => subject)).toEqual(['ann', 'ben']);
  expect(ofAnn.map(({ position }) => position)).toEqual([before + 1n, before + 3n]);
});

test('events of types that nobody asked for come in their place without their content', async () => {
  const before = await headPosition(database.query);
  const last = await append(database.query, [event('ann'), { ...event('ben'), type: 'test.Other' }]);

  const page = await readEvents(database.query, { after: before, limit: 9, types: ['test.Other'] });

  expect(page.map(({ position }) => position)).toEqual([before + 1n, last]);
  expect(page.map(({ json }) => json === '')).toEqual([true, false]);
});

test('a page ends with the event that fills it, and has one at least', async () => {
  const before = await headPosition(database.query);
  const sized = (bytes: number) => ({ ...event('ann'), json: JSON.stringify({ text: 'é'.repeat(bytes / 2) }) });
  await append(database.query, [sized(300), sized(100), sized(100), sized(100)]);

  const pageAfter = async (after: bigint, types: string[] = []) => {
    const page = await readEvents(database.query, { after, limit: 9, bytesMax: 200, types });
    return page.map(({ position }) => position - before);
  };

  expect(await pageAfter(before)).toEqual([1n]);
  expect(await pageAfter(before + 1n)).toEqual([2n, 3n]);
  expect(await pageAfter(before, ['test.Other'])).toEqual([1n, 2n, 3n, 4n]);
});

test('an event that nobody could receive is refused, and with it what it tells of', async () => {
  const before = await headPosition(database.query);
  await database.query('create table told (n integer)');
  const json = JSON.stringify({ text: 'x'.repeat(EVENT_BYTES_MAX) });

  const appended = inTransaction(database.pool, { timeoutMs: undefined }, async (query) => {
    await query('insert into told values (1)');
    return append(query, [event('ann'), { ...event('ben'), json }]);
  });

  await expect(appended).rejects.toThrow('test.Happened of ben has more than 4194304 bytes');
  expect(await database.query('select from told')).toEqual([]);
  expect(await headPosition(database.query)).toBe(before);
});

test('a transaction that may be lost may not be once it appends: others are told of it', async () => {
  const commits = await inTransaction(database.pool, { timeoutMs: undefined, mayBeLost: true }, async (query) => {
    const [before] = await query('show synchronous_commit');
    await append(query, [event('ann')]);
    const [after] = await query('show synchronous_commit');
    return [before, after];
  });

  expect(commits).toEqual([{ synchronous_commit: 'off' }, { synchronous_commit: 'on' }]);
});

test('who waits for the head is woken by what another instance appends', async () => {
  const position = await headPosition(database.query);
  const head = new LogHead(database.query);
  head.advance(position);

  const waiting = head.waitBeyond(position, 30_000, new AbortController().signal);
  await append(database.query, [event('elsewhere')]);
  await waiting;

  expect(head.position).toBe(position + 1n);
});

test('who waits for the head waits no longer than they said, or than the signal lets them', async () => {
  const head = new LogHead(database.query);
  const position = await headPosition(database.query);
  const stop = new AbortController();
  let ended = false;

  await head.waitBeyond(position, 1, new AbortController().signal);
  const waiting = head.waitBeyond(position, 60_000, stop.signal).then(() => {
    ended = true;
  });
  stop.abort();
  await eventually(() => ended);
  await waiting;
});
