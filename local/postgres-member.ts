import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startChild, tailOf } from './child.ts';
import { PlatformError, sentenceForLog } from './failure.ts';
import { Keeper } from './keeper.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import type { PostgresUser } from './postgres-user.ts';
import { recordedProcess, runningProcess } from './running-process.ts';

export const SUPERUSER = 'postgres';

const MAJOR_VERSION = '18';
const PASSWORD_BYTES = 24;
const CONNECT_TIMEOUT_MS = 2_000;
const QUERY_TIMEOUT_MS = 60_000;
/** Recovery after a crash may replay a gigabyte of log. */
const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 15_000;

/** What all members of a cluster share. */
export interface ClusterPlace {
  folder: string;
  logFolder: string;
  binaries: PostgresBinaries;
  runAs: PostgresUser;
  password: string;
  settings: Record<string, string>;
  onEvent?: (line: string) => void;
}

/** The superuser's password, made on first use. */
export function clusterPassword(folder: string, { user }: PostgresUser): string {
  const file = join(folder, 'password');
  if (!existsSync(file)) {
    writeFileSync(file, randomBytes(PASSWORD_BYTES).toString('hex'), { mode: 0o600 });
    if (user) chownSync(file, user.uid, user.gid);
  }
  return readFileSync(file, 'utf8');
}

/** Creates the primary's files, whole or not at all. */
export async function initialize(place: ClusterPlace): Promise<void> {
  const folder = join(place.folder, 'primary');
  if (existsSync(folder)) return checkVersion(folder);
  const unfinished = `${folder}.new`;
  const sync = place.settings.fsync === 'off' ? ['--no-sync'] : [];
  rmSync(unfinished, { recursive: true, force: true });
  const logFile = join(place.logFolder, 'postgres-initdb.log');
  const child = await startChild({
    ...commandOf(place, place.binaries.initdb, [
      ...['-D', unfinished, '-U', SUPERUSER, '--pwfile', join(place.folder, 'password'), '-A', 'scram-sha-256'],
      ...[
        '-E',
        'UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--no-instructions',
        ...sync,
      ],
    ]),
    logFile,
    pidFile: join(place.folder, 'initdb.pid'),
    stopSignal: 'SIGTERM',
    abandonSignal: 'SIGKILL',
    stopTimeoutMs: STOP_TIMEOUT_MS,
  });
  const end = await child.exited;
  if (end === 'exit code 0') return renameSync(unfinished, folder);
  const tail = tailOf(logFile, child.logStart);
  throw new PlatformError(sentenceForLog(tail) ?? `Postgres cannot create its files (${end}). See ${logFile}`);
}

function checkVersion(folder: string): void {
  const version = readFileSync(join(folder, 'PG_VERSION'), 'utf8').trim();
  if (version === MAJOR_VERSION) return;
  throw new PlatformError(
    `${folder} belongs to Postgres ${version}, but this is Postgres ${MAJOR_VERSION}: ` +
      'start with --fresh, or choose another folder with --data.',
  );
}

/** A keeper for one member; `extra` are lines of its configuration. */
export function memberKeeper(place: ClusterPlace, name: string, port: number, extra: string[] = []): Keeper {
  const folder = join(place.folder, name);
  const pidFile = join(place.folder, `${name}.pid`);
  return new Keeper({
    name: `Postgres ${name}`,
    child: {
      ...commandOf(place, place.binaries.postgres, ['-D', folder, '-p', String(port)]),
      logFile: join(place.logFolder, `postgres-${name}.log`),
      pidFile,
      stopSignal: 'SIGINT',
      abandonSignal: 'SIGQUIT',
      stopTimeoutMs: STOP_TIMEOUT_MS,
    },
    beforeStart: async () => {
      configure(place, folder, extra);
      await disownPidFile(join(folder, 'postmaster.pid'), pidFile);
    },
    isReady: () => answers(urlOf(place, port)),
    readyTimeoutMs: READY_TIMEOUT_MS,
    ...(place.onEvent && { onEvent: place.onEvent }),
  });
}

export function urlOf({ password }: { password: string }, port: number, database = 'postgres'): string {
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`;
}

function commandOf({ runAs }: ClusterPlace, binary: string, options: string[]) {
  const [command = binary, ...args] = [...runAs.prefix, binary, ...options];
  return { command, arguments: args, environment: { LC_ALL: 'C', PATH: '/usr/bin:/bin', TZ: 'UTC' }, user: runAs.user };
}

function configure(place: ClusterPlace, folder: string, extra: string[]): void {
  const settings = Object.entries(place.settings).map(([name, value]) => `${name} = '${value}'`);
  writeFileSync(join(folder, 'postgresql.conf'), [...settings, ...extra, ''].join('\n'), { mode: 0o600 });
  const access = ['all', 'replication'].map((what) => `host ${what} all 127.0.0.1/32 scram-sha-256\n`);
  writeFileSync(join(folder, 'pg_hba.conf'), access.join(''), { mode: 0o600 });
}

/**
 * Postgres believes a lock file of a crash as long as anything runs under the number in it. Where that is not our
 * Postgres, the number becomes our own, which Postgres ignores as its parent's; its check for survivors that still
 * use the shared memory stays.
 */
async function disownPidFile(lockFile: string, pidFile: string): Promise<void> {
  if (!existsSync(lockFile) || recordedProcess(pidFile)) return;
  const [pid, ...rest] = readFileSync(lockFile, 'utf8').split('\n');
  if (runningProcess(Number(pid))) writeFileSync(lockFile, [process.pid, ...rest].join('\n'));
}

async function answers(url: string): Promise<boolean> {
  return connected(url, async (client) => (await client.query('select 1')).rowCount === 1, CONNECT_TIMEOUT_MS);
}

/** Runs `body` with one connection of its own. */
export async function connected<T>(
  url: string,
  body: (client: pg.Client) => Promise<T>,
  timeoutMs = QUERY_TIMEOUT_MS,
): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: timeoutMs,
  });
  // A connection that breaks while idle fails the next query; without a listener it would end this process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await body(client);
  } finally {
    // A server that hangs does not answer a goodbye either.
    await Promise.race([client.end(), sleep(CONNECT_TIMEOUT_MS, undefined, { ref: false })]);
  }
}
