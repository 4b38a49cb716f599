import pg from 'pg';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Event, EventLogService } from '#proto/eventlog/v1/service';
import { bare, happen } from './bare.testing.ts';
import { type Database, openDatabase, type Query } from './database.ts';
import { append } from './event-log.ts';
import { Follower } from './follower.ts';
import {
  clientsOf,
  eventually,
  freshDatabase,
  freshServiceDatabase,
  type ServiceUnderTest,
  startForTest,
} from './testing.ts';

const EVENT = { type: 'test.Happened', subject: '', actor: 'tester', traceparent: '', json: '{}' };

let source: ServiceUnderTest;
let own: Database;
let log: ReturnType<typeof logOf>;
let followers: Follower[];
let warnings: string[];

beforeAll(async () => {
  own = await openDatabase(await freshDatabase('follower'));
  await own.query('create table seen (n integer generated always as identity, subject text not null)');
});
afterAll(() => own.close());
beforeEach(async () => {
  await own.query('truncate seen, checkpoints');
  followers = [];
  warnings = [];
  source = await startForTest(bare);
  log = logOf(source.address);
});
afterEach(async () => {
  await Promise.all(followers.map((follower) => follower.stop()));
  log.close();
  await source.stop();
});

function logOf(address: string) {
  const clients = clientsOf({ catalog: [address] });
  return { client: clients.of(EventLogService, 'catalog'), close: () => clients.close() };
}

async function keep(events: Event[], query: Query): Promise<void> {
  await query('insert into seen (subject) select unnest($1::text[])', [events.map(({ subject }) => subject)]);
}

function options() {
  const logger = pino({ level: 'debug' }, { write: (line: string) => warnings.push(line) });
  return { source: 'catalog', log: log.client, pool: own.pool, logger };
}

function follow(apply: (events: Event[], query: Query) => Promise<void> = keep): Follower {
  const follower = new Follower({ ...options(), apply });
  followers.push(follower);
  follower.start();
  return follower;
}

async function seen(): Promise<string[]> {
  const rows = await own.query<{ subject: string }>('select subject from seen order by n');
  return rows.map(({ subject }) => subject);
}

async function position(): Promise<bigint> {
  const [row] = await own.query<{ position: string }>('select position from checkpoints');
  return BigInt(row?.position ?? -1);
}

function reached(wanted: bigint): Promise<boolean> {
  return eventually(async () => (await position()) === wanted, { what: `position ${wanted}` });
}

test('what was there before and what comes live is applied once and in order', async () => {
  await happen(source, 'a', 'b');
  const follower = follow();
  await reached(2n);
  await happen(source, 'c');
  await reached(3n);

  expect(await seen()).toEqual(['a', 'b', 'c']);
  expect(follower.lag).toEqual({ source: 'catalog', head: 3n, position: 3n });
});

test('a long log is applied in batches, each event once', async () => {
  const subjects = Array.from({ length: 1_300 }, (_, n) => String(n));
  await happen(source, ...subjects);
  const sizes: number[] = [];
  follow(async (events, query) => {
    sizes.push(events.length);
    await keep(events, query);
  });
  await reached(1_300n);

  expect(await seen()).toEqual(subjects);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(500);
});

test('events that are large together are followed to the last one', async () => {
  const json = JSON.stringify({ text: 'x'.repeat(1024 * 1024) });
  const events = Array.from({ length: 20 }, (_, n) => ({ ...EVENT, subject: String(n), json }));
  await append(source.parts.database.query, events);
  follow();
  await reached(20n);

  expect(await seen()).toEqual(events.map(({ subject }) => subject));
});

test('a follower that cannot receive the next event says so, and how much it lacks', async () => {
  await happen(source, 'a');
  const { query } = source.parts.database;
  await query(
    `insert into events select 2, now(), 'test.Happened', 'b', '', '', to_json(repeat('x', 17 * 1024 * 1024))`,
  );
  await query('update event_head set position = 2');
  const follower = follow();

  await eventually(() => warnings.some((line) => /"level":50.*larger than max/.test(line)), { what: 'an error' });
  expect(follower.lag.head).toBe(2n);
});

test('a follower whose connection is killed between applying and storing its position applies once', async () => {
  await happen(source, 'a', 'b');
  let kills = 0;
  follow(async (events, query) => {
    await keep(events, query);
    if (kills++ < 2) await query('select pg_terminate_backend(pg_backend_pid())');
  });
  await reached(2n);

  expect(kills).toBe(3);
  expect(await seen()).toEqual(['a', 'b']);
});

test('what takes effect elsewhere is delivered again where its position was not stored, and never skipped', async () => {
  await happen(source, 'a', 'b');
  const delivered: string[] = [];
  const deliver = async (events: Event[]) => {
    delivered.push(...events.map(({ subject }) => subject));
    if (delivered.length === 2) throw new Error('it broke after it took effect');
  };
  const follower = new Follower({ ...options(), deliver, batchMax: 10 });
  followers.push(follower);
  follower.start();
  await reached(2n);

  expect(delivered).toEqual(['a', 'b', 'a', 'b']);
});

test('a source that goes away and comes back is followed on, with nothing lost or applied twice', async () => {
  await source.stop();
  const environment = { DATABASE_URL: await freshServiceDatabase(bare), PORT: source.address.split(':')[1] ?? '' };
  source = await startForTest(bare, environment);
  await happen(source, 'a');
  follow();
  await reached(1n);

  await source.stop();
  source = await startForTest(bare, environment);
  await happen(source, 'b');
  await reached(2n);

  expect(await seen()).toEqual(['a', 'b']);
});

test('a checkpoint that somebody set back is followed from there: that is a rebuild', async () => {
  await happen(source, 'a', 'b');
  follow();
  await reached(2n);

  await own.query('with emptied as (delete from seen) update checkpoints set position = 0');
  await happen(source, 'c');
  await reached(3n);

  expect(await seen()).toEqual(['a', 'b', 'c']);
});

test('two followers on one database apply each event once', async () => {
  const subjects = Array.from({ length: 40 }, (_, n) => String(n));
  follow();
  follow();
  for (const subject of subjects) await happen(source, subject);
  await reached(40n);

  expect(await seen()).toEqual(subjects);
});

test.each([1, 2, 3])('a log that misses its event %s stops the follower before it, and says so', async (missing) => {
  await happen(source, 'a', 'b', 'c', 'd');
  await source.parts.database.query('delete from events where position = $1', [missing]);
  follow();
  await eventually(() => warnings.some((line) => line.includes('a gap in the log of catalog')), { what: 'a warning' });

  expect(await seen()).toEqual([]);
  expect(await position()).toBe(0n);
});

test('a follower that is stopped before it has connected ends', async () => {
  const follower = follow();

  await follower.stop();

  expect(await seen()).toEqual([]);
});

test('a follower stops at once, also while its source hangs', async () => {
  const silent = new pg.Client({ connectionString: source.parts.database.pool.options.connectionString });
  await silent.connect();
  await silent.query('begin; lock table events');
  const follower = follow();
  await eventually(async () => (await position()) === 0n);

  await follower.stop();

  await silent.end();
  expect(await seen()).toEqual([]);
});
