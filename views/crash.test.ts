/** What a follower applies does not wait for the disk: a crash of its database may lose the end of it, and nothing for good. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bare, happen } from '#lib/bare.testing';
import { type Database, openDatabase } from '#lib/database';
import { Follower } from '#lib/follower';
import { createLogger } from '#lib/log';
import { clientsOf, eventually, type ServiceUnderTest, startForTest } from '#lib/testing';
import { EventLogService } from '#proto/eventlog/v1/service';
import { type Cluster, createDatabases, startCluster } from '../local/postgres.ts';

let folder: string;
let cluster: Cluster;
let own: Database;
let source: ServiceUnderTest;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registrar-crash-'));
  // Nobody else writes its log to the disk.
  const settings = { wal_writer_delay: '10s', autovacuum: 'off' };
  cluster = await startCluster({ folder, replicas: 0, settings });
  await createDatabases(cluster, ['views']);
  own = await openDatabase(cluster.url('views'));
  await own.query('create table seen (position bigint primary key)');
  source = await startForTest(bare);
});
afterAll(async () => {
  await source.stop();
  await own.close();
  await cluster.stop();
  await rm(folder, { recursive: true, force: true });
});

async function applied(): Promise<{ position: number; seen: number }> {
  const [row] = await own.query<{ position: number; seen: number }>(
    'select position::int, (select count(*)::int from seen) as seen from checkpoints',
  );
  return row ?? { position: 0, seen: 0 };
}

async function followTo(last: bigint): Promise<void> {
  const clients = clientsOf({ catalog: [source.address] });
  const follower = new Follower({
    source: 'catalog',
    log: clients.of(EventLogService, 'catalog'),
    pool: own.pool,
    logger: createLogger('test', 'silent'),
    apply: async (events, query) => {
      await query('insert into seen select unnest($1::bigint[])', [events.map(({ position }) => position)]);
    },
  });
  follower.start();
  await eventually(async () => (await applied()).position === Number(last), { what: `position ${last}` });
  await follower.stop();
  clients.close();
}

test('what a crash takes from a follower it applies again', async () => {
  let lost = 0;
  // The log may have been written to the disk just then.
  while (lost === 0) {
    const last = await happen(source, 'a', 'b', 'c');
    await followTo(last);
    cluster.kill('primary');
    await cluster.untilReady('primary');
    const { position, seen } = await applied();
    expect(seen).toBe(position);
    lost = Number(last) - position;

    await followTo(last);
    expect(await applied()).toEqual({ position: Number(last), seen: Number(last) });
  }
});
