/** A real Postgres cluster from the npm binaries: a primary and streaming replicas, for one machine and for tests. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { codeOf } from '#lib/database-error';
import { PlatformError } from './failure.ts';
import type { Keeper } from './keeper.ts';
import { takeLock } from './lock.ts';
import { freePort } from './port.ts';
import { postgresBinaries } from './postgres-binaries.ts';
import { type ClusterPlace, clusterPassword, connected, initialize, memberKeeper, urlOf } from './postgres-member.ts';
import { replicaKeeper } from './postgres-replica.ts';
import { postgresUser } from './postgres-user.ts';
import { signalTree } from './running-process.ts';

/** duplicate_database; unique_violation where two create it at once. */
const ALREADY_THERE = new Set(['42P04', '23505']);

/** `fsync` and `synchronous_commit` stay on: an acknowledged registration survives a power cut. */
const defaults: Record<string, string> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  // Sized for a laptop that also runs everything else.
  shared_buffers: '128MB',
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  io_workers: '1',
  max_logical_replication_workers: '0',
  jit: 'off',
  update_process_title: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  log_line_prefix: '%m [%p] %q%d ',
  wal_level: 'replica',
  // What a follower applies is committed without waiting for the disk, and replicas see it once it is there.
  wal_writer_delay: '20ms',
  hot_standby: 'on',
  // A replica that is away must not fill the disk; beyond this it is copied anew at the next start.
  max_slot_wal_keep_size: '1GB',
  // A member that hangs is noticed, and one that was restarted is followed again, within seconds.
  wal_sender_timeout: '10s',
  wal_receiver_timeout: '10s',
  wal_receiver_status_interval: '1s',
  wal_retrieve_retry_interval: '250ms',
};

export interface ClusterOptions {
  /** Made if it is not there; adopted, with its data, if it is. */
  folder: string;
  replicas: number;
  /** Over the defaults, as in postgresql.conf. */
  settings?: Record<string, string>;
  /** Default: `logs` in the folder. */
  logFolder?: string;
  /** One line about each restart of a member. */
  onEvent?: (line: string) => void;
  signal?: AbortSignal;
}

/** `primary`, `replica-1`, `replica-2`, … */
export type Member = string;

/** Where a primary and its replicas answer, to somebody who may create databases. */
export interface Servers {
  primaryUrl: string;
  replicaUrls: string[];
  stop(): Promise<void>;
}

export interface Cluster extends Servers {
  members: Member[];
  /** The superuser's URL of a database on a member; the primary where none is named. */
  url(database: string, member?: Member): string;
  pidOf(member: Member): number | undefined;
  /** As a crash: SIGKILL; the member is started again at once. */
  kill(member: Member): void;
  /** The member and all its processes hang until `resume`. */
  pause(member: Member): void;
  resume(member: Member): void;
  /** Takes a member down in order, and leaves it down until `startMember`. */
  stopMember(member: Member): Promise<void>;
  startMember(member: Member): Promise<void>;
  /** Answers when a member that was killed is back. */
  untilReady(member: Member): Promise<void>;
}

/** Starts a primary and its replicas; what a crash left is recovered. Members that die are started again. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const folder = resolve(options.folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = takeLock(join(folder, 'lock'));
  if (!lock) throw new PlatformError(`Another process already runs the Postgres cluster in ${folder}: stop it first.`);
  const members = new Map<Member, { keeper: Keeper; port: number }>();
  const stop = async () => {
    await stopAll([...members.values()].map((member) => member.keeper));
    lock.release();
  };
  try {
    const place = placeOf(folder, options);
    await initialize(place);
    const port = await freePort();
    const primary = memberKeeper(place, 'primary', port);
    members.set('primary', { keeper: primary, port });
    await primary.start(options.signal);
    for (let number = 1; number <= options.replicas; number++) {
      const own = await freePort();
      const name = `replica-${number}`;
      members.set(name, { keeper: await replicaKeeper(place, name, { primary: port, own }), port: own });
    }
    const replicas = [...members.values()].slice(1);
    await Promise.all(replicas.map(({ keeper }) => keeper.start(options.signal)));
    return clusterOf(place, members, stop);
  } catch (failure) {
    await stop();
    throw failure;
  }
}

function placeOf(folder: string, options: ClusterOptions): ClusterPlace {
  const binaries = postgresBinaries();
  const runAs = postgresUser(folder, binaries.postgres);
  return {
    folder,
    logFolder: options.logFolder ?? join(folder, 'logs'),
    binaries,
    runAs,
    password: clusterPassword(folder, runAs),
    settings: { ...defaults, ...options.settings },
    ...(options.onEvent && { onEvent: options.onEvent }),
  };
}

/** All at once: what a replica misses of the last moment it receives after the next start. */
async function stopAll(keepers: Keeper[]): Promise<void> {
  for (const one of keepers) signalTree(one.pid(), 'SIGCONT');
  await Promise.all(keepers.map((one) => one.stop()));
}

function clusterOf(
  place: ClusterPlace,
  members: Map<Member, { keeper: Keeper; port: number }>,
  stop: () => Promise<void>,
): Cluster {
  function of(member: Member): { keeper: Keeper; port: number } {
    const found = members.get(member);
    if (!found) throw new RangeError(`no member ${member}; there are ${[...members.keys()].join(', ')}`);
    return found;
  }
  const url = (database: string, member = 'primary') => urlOf(place, of(member).port, database);
  const names = [...members.keys()];
  return {
    primaryUrl: url('postgres'),
    replicaUrls: names.slice(1).map((name) => url('postgres', name)),
    members: names,
    url,
    pidOf: (member) => of(member).keeper.pid(),
    kill: (member) => signalTree(of(member).keeper.pid(), 'SIGKILL'),
    pause: (member) => signalTree(of(member).keeper.pid(), 'SIGSTOP'),
    resume: (member) => signalTree(of(member).keeper.pid(), 'SIGCONT'),
    stopMember: (member) => of(member).keeper.stop(),
    startMember: (member) => of(member).keeper.start(),
    untilReady: (member) => of(member).keeper.untilReady(),
    stop,
  };
}

/** Creates those databases that are not there yet, whoever else creates them at this moment. */
export async function createDatabases(
  { primaryUrl }: Pick<Servers, 'primaryUrl'>,
  names: readonly string[],
): Promise<void> {
  await connected(primaryUrl, async (client) => {
    const { rows } = await client.query<{ datname: string }>('select datname from pg_database');
    const present = new Set(rows.map((row) => row.datname));
    for (const name of names.filter((name) => !present.has(name))) {
      await client.query(`create database ${client.escapeIdentifier(name)}`).catch(rethrowUnlessThere);
    }
  });
}

function rethrowUnlessThere(failure: unknown): void {
  if (!ALREADY_THERE.has(codeOf(failure))) throw failure;
}
