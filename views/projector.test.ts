import { Code } from '@connectrpc/connect';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { addressVariable, type ServiceName, services } from '#lib/config';
import { queryOf } from '#lib/database';
import { append, type NewEvent } from '#lib/event-log';
import type { ServiceDefinition } from '#lib/service';
import { eventually, freshServiceDatabase, type ServiceUnderTest, startForTest, tokenOf } from '#lib/testing';
import { SectionSeatsChangedSchema } from '#proto/enrollment/v1/events';
import { ProjectorService } from '#proto/projector/v1/service';
import { dumpOf, historyOf, LECTURE, newIds, told } from './history.testing.ts';
import { projector } from './projector.ts';

const logs = new Map<ServiceName, ServiceUnderTest>();
const addresses: Record<string, string> = {};
const running: ServiceUnderTest[] = [];
let url: string;
let pool: pg.Pool;
let query: ReturnType<typeof queryOf>;

beforeAll(async () => {
  for (const name of services) {
    const log = await startForTest(logOnly(name));
    logs.set(name, log);
    addresses[addressVariable(name)] = log.address;
  }
  url = await freshServiceDatabase(projector);
  pool = new pg.Pool({ connectionString: url });
  query = queryOf(pool);
  await startProjector();
});
afterAll(async () => {
  await Promise.all(running.map((projecting) => projecting.stop()));
  await Promise.all([...logs.values()].map((log) => log.stop()));
  await pool.end();
});

/** A service that has nothing but its log. */
function logOnly(name: ServiceName): ServiceDefinition {
  return { name, build: () => ({ services: [], routes: () => undefined }) };
}

async function startProjector(): Promise<ServiceUnderTest> {
  const started = await startForTest(projector, { ...addresses, DATABASE_URL: url });
  running.push(started);
  return started;
}

/** Appends to a service's log, and answers where it ends then. */
async function tell(source: ServiceName, events: NewEvent[]): Promise<bigint> {
  const log = logs.get(source);
  if (!log) throw new Error(`no log of ${source}`);
  const position = await append(log.parts.database.query, events);
  log.parts.head.advance(position);
  return position;
}

async function tellHistory(): Promise<Map<string, bigint>> {
  const history = Object.entries(historyOf(newIds()));
  const told = history.map(async ([source, events]) => [source, await tell(source as ServiceName, events)] as const); // its own keys
  return new Map(await Promise.all(told));
}

async function untilApplied(positions: Map<string, bigint>): Promise<void> {
  await eventually(
    async () => {
      const rows = await query<{ source: string; position: string }>('select source, position from checkpoints');
      const reached = new Map(rows.map((row) => [row.source, BigInt(row.position)]));
      return [...positions].every(([source, position]) => reached.get(source) === position);
    },
    { what: 'the projector reaching the ends of the logs' },
  );
}

async function untilAsOf(source: ServiceName, afterMs: number): Promise<void> {
  await eventually(
    async () => {
      const [row] = await query<{ as_of: Date }>('select as_of from sources where source = $1', [source]);
      return row && row.as_of.getTime() > afterMs;
    },
    { what: `${source} heard again` },
  );
}

test('the views follow the logs', async () => {
  await untilApplied(await tellHistory());

  const dump = await dumpOf(query);
  for (const table of Object.keys(dump)) expect(dump[table], table).not.toEqual([]);
});

test('a rebuild of quiet logs brings back what was there', async () => {
  const positions = await tellHistory();
  await untilApplied(positions);
  const before = await dumpOf(query);
  await query("update sections set code = 'damaged'");

  await running[0]?.client(ProjectorService).rebuildViews({});

  await untilApplied(positions);
  expect(await dumpOf(query)).toEqual(before);
});

test('a rebuild while events arrive loses none and applies none twice', async () => {
  const counts = (version: number) =>
    told(SectionSeatsChangedSchema, {
      seats: { sectionId: LECTURE, capacity: 500, taken: version, waitlisted: 0, version: BigInt(version) },
    });
  const client = running[0]?.client(ProjectorService);

  let position = 0n;
  for (let version = 100; version < 200; version++) {
    position = await tell('enrollment', [counts(version)]);
    if (version % 25 === 0) await client?.rebuildViews({});
  }

  await untilApplied(new Map([['enrollment', position]]));
  const rows = await query('select taken, version from section_seats where section_id = $1', [LECTURE]);
  expect(rows).toEqual([{ taken: 199, version: '199' }]);
});

test('two projectors on one database apply each event once, also through a rebuild', async () => {
  const second = await startProjector();
  await query('create table applied (position bigint)');
  await query(`
    create function note_position() returns trigger language plpgsql as
    $$ begin insert into applied values (new.position); return new; end $$`);
  // Counts what takes effect: a batch that another projector was faster with is rolled back.
  await query(`
    create trigger note after update on checkpoints for each row
    when (new.source = 'billing' and new.position > old.position) execute function note_position()`);

  for (let turn = 0; turn < 10; turn++) await untilApplied(await tellHistory());

  const rows = await query<{ position: string }>('select position from applied');
  expect(rows.length).toBeGreaterThan(0);
  expect(new Set(rows.map(({ position }) => position)).size).toBe(rows.length);
  const [entries] = await query<{ count: number }>('select count(*)::int as count from account_entries');
  expect(entries?.count).toBe(4);

  const positions = await tellHistory();
  await untilApplied(positions);
  const before = await dumpOf(query);
  await second.client(ProjectorService).rebuildViews({});
  await untilApplied(positions);
  expect(await dumpOf(query)).toEqual(before);
});

test('while a log is quiet the views are as of its last heartbeat, and no longer once it is silent', async () => {
  await untilAsOf('records', Date.now());
  await untilAsOf('records', Date.now());

  await logs.get('records')?.stop();
  logs.delete('records');

  const stoppedAtMs = Date.now();
  await untilAsOf('catalog', stoppedAtMs + 1_500);
  const [row] = await query<{ as_of: Date }>("select as_of from sources where source = 'records'");
  expect(row?.as_of.getTime()).toBeLessThanOrEqual(stoppedAtMs);
});

test('only staff and the system may rebuild', async () => {
  const asStudent = running[0]?.client(ProjectorService, await tokenOf('ada', 'student'));
  await expect(asStudent?.rebuildViews({})).rejects.toMatchObject({ code: Code.PermissionDenied });
});
