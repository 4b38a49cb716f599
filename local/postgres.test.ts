import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PlatformError } from './failure.ts';
import { type Cluster, type ClusterOptions, createDatabases, startCluster } from './postgres.ts';
import { isRunning, runningProcess } from './running-process.ts';

let folder: string;
let running: Cluster[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'registrar-postgres-'));
});

afterEach(async () => {
  await Promise.all(running.map((cluster) => cluster.stop()));
  running = [];
  rmSync(folder, { recursive: true });
});

async function start(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const cluster = await startCluster({ folder, replicas: 1, settings: { fsync: 'off' }, ...options });
  running.push(cluster);
  return cluster;
}

/** However slow the machine, who does not answer within this hangs; a member that is made to hang need not be given as long. */
const ANSWER_TIMEOUT_MS = 30_000;
const HANGS_AFTER_MS = 1_000;

async function query<T extends pg.QueryResultRow>(
  url: string,
  text: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<T[]> {
  const timeouts = { connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs };
  const client = new pg.Client({ connectionString: url, ...timeouts });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<T>(text)).rows;
  } finally {
    await Promise.race([client.end(), sleep(1_000)]);
  }
}

async function untilTrue(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition().catch(() => false))) {
    if (Date.now() > deadline) throw new Error('the condition did not become true');
    await sleep(20);
  }
}

const countOn = (url: string, timeoutMs = ANSWER_TIMEOUT_MS) =>
  query<{ count: string }>(url, 'select count(*) from seat', timeoutMs);
const untilCount = (url: string, count: number) =>
  untilTrue(async () => Number((await countOn(url))[0]?.count) === count);

describe('a cluster that runs', () => {
  let home: string;
  let cluster: Cluster;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'registrar-postgres-'));
    cluster = await startCluster({ folder: home, replicas: 2, settings: { fsync: 'off' } });
  });
  afterAll(async () => {
    await cluster.stop();
    rmSync(home, { recursive: true });
  });

  /** A database of a test's own: its URL on the primary, and on a member. */
  async function newDatabase(): Promise<(member?: string) => string> {
    const name = `of-${randomUUID()}`;
    await createDatabases(cluster, [name]);
    return (member) => cluster.url(name, member);
  }

  test('what is written to the primary arrives on every replica, which refuses writes', async () => {
    const url = await newDatabase();

    await query(url(), 'create table seat (id int); insert into seat values (1), (2)');

    expect(cluster.replicaUrls).toHaveLength(2);
    for (const replica of ['replica-1', 'replica-2'].map(url)) {
      await untilCount(replica, 2);
      await expect(query(replica, 'insert into seat values (3)')).rejects.toThrow(/read-only/);
    }
  });

  test('a killed primary comes back under the same URL with everything it had acknowledged', async () => {
    const url = await newDatabase();
    await query(url(), 'create table seat (id int); insert into seat values (1)');
    const pid = cluster.pidOf('primary');

    cluster.kill('primary');
    await untilTrue(async () => cluster.pidOf('primary') !== pid && cluster.pidOf('primary') !== undefined);
    await cluster.untilReady('primary');

    expect(await countOn(url())).toEqual([{ count: '1' }]);
    await query(url(), 'insert into seat values (2)');
    await untilCount(url('replica-1'), 2);
  });

  test('a paused replica does not answer, lags, and catches up when it goes on', async () => {
    const url = await newDatabase();
    await query(url(), 'create table seat (id int)');
    await untilCount(url('replica-1'), 0);

    cluster.pause('replica-1');
    await query(url(), 'insert into seat values (1)');
    await expect(countOn(url('replica-1'), HANGS_AFTER_MS)).rejects.toThrow();

    cluster.resume('replica-1');
    await untilCount(url('replica-1'), 1);
  });

  test('the password is random, kept in a file for its owner only, and needed', async () => {
    const password = readFileSync(join(home, 'password'), 'utf8');

    expect(statSync(join(home, 'password')).mode & 0o777).toBe(0o600);
    expect(password).toMatch(/^[0-9a-f]{48}$/);
    await expect(query(cluster.primaryUrl.replace(password, 'wrong'), 'select 1')).rejects.toThrow(/password/);
  });

  test('a folder in use is refused in one sentence', async () => {
    await expect(startCluster({ folder: home, replicas: 0 })).rejects.toThrow(PlatformError);
  });

  test('each database is created once, also by several at once', async () => {
    await createDatabases(cluster, ['billing', 'views']);
    await Promise.all([1, 2, 3].map(() => createDatabases(cluster, ['billing', 'views', 'identity'])));

    const names = await query<{ current_database: string }>(cluster.url('identity'), 'select current_database()');
    expect(names).toEqual([{ current_database: 'identity' }]);
  });
});

test('a second start finds the data, and its replicas follow again', async () => {
  const first = await start();
  await query(first.primaryUrl, 'create table seat (id int); insert into seat values (1)');
  await first.stop();
  running = [];

  const second = await start();

  await query(second.primaryUrl, 'insert into seat values (2)');
  await untilCount(second.url('postgres', 'replica-1'), 2);
});

test('a start after a crash of everything recovers, also when another process got the number in the lock file', async () => {
  // Inside a folder that only we may enter Postgres runs as our own user, and so sees our other processes.
  const options = { folder: join(folder, 'inside'), replicas: 0 };
  const cluster = await start(options);
  await query(cluster.primaryUrl, 'create table seat (id int); insert into seat values (1)');
  const lockFile = join(options.folder, 'primary', 'postmaster.pid');
  const crashed = readFileSync(lockFile, 'utf8').replace(/^\d+/, String(process.ppid));
  await cluster.stop();
  running = [];
  writeFileSync(lockFile, crashed);

  const second = await start(options);

  expect(await countOn(second.primaryUrl)).toEqual([{ count: '1' }]);
});

test('a replica that was away too long is copied anew at the next start', async () => {
  const first = await start();
  await first.stopMember('replica-1');
  await query(first.primaryUrl, `create table seat (id int); select pg_drop_replication_slot('replica_1')`);
  await first.stop();
  running = [];

  const second = await start();

  await query(second.primaryUrl, 'insert into seat values (1)');
  await untilCount(second.url('postgres', 'replica-1'), 1);
});

test('stop leaves no process, even with a paused member', async () => {
  const cluster = await start();
  const processes = cluster.members.map((member) => runningProcess(cluster.pidOf(member) ?? 0));
  cluster.pause('replica-1');

  await cluster.stop();
  running = [];

  expect(processes).not.toContain(undefined);
  expect(processes.filter((one) => one && isRunning(one))).toEqual([]);
});

test('it runs in a folder that only its owner may enter and in one that everybody may', async () => {
  for (const mode of [0o700, 0o755, 0o700]) {
    chmodSync(folder, mode);
    const cluster = await startCluster({ folder: join(folder, 'cluster'), replicas: 1 });
    await query(cluster.primaryUrl, 'create table if not exists seat (id int)');
    await cluster.stop();
  }
});
