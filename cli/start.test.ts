import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { inheritedEnvironment } from '#lib/config';
import { addressesOf, type PlatformRecord, readPlatform } from '../local/platform-record.ts';
import { freePort } from '../local/port.ts';
import { grpcServes, httpAnswers } from '../local/readiness.ts';
import { runningPostgres } from '../local/running-postgres.ts';
import { isRunning, type RunningProcess, recordedProcess } from '../local/running-process.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

const registrar = join(import.meta.dirname, 'registrar.ts');
const POLL_MS = 50;
const DEADLINE_MS = 200_000;

let folder: string;
/** Where somebody else's servers are, instead of ours. */
let theirs: Record<string, string> = {};
const started: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'registrar-start-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

afterEach(async () => {
  for (const one of started.splice(0)) await ended(one, 'SIGTERM');
  theirs = {};
});

/** `registrar start` as a person runs it, with all that it has said so far. */
function start(...options: string[]): { process: ChildProcess; said: () => string } {
  const environment = {
    ...inheritedEnvironment(),
    ...{ TEMPORAL_ADDRESS: undefined, PAYMENT_PROVIDER_URL: undefined, POSTGRES_URL: undefined },
    ...theirs,
  };
  const child = spawn(process.execPath, [registrar, 'start', '--data', folder, ...options], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk;
    });
  }
  return { process: child, said: () => said };
}

async function ended(child: ChildProcess, signal?: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exit = once(child, 'exit');
  if (signal) child.kill(signal);
  const [code] = await exit;
  return code;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await sleep(POLL_MS);
  }
}

async function ready(one: { process: ChildProcess; said: () => string }): Promise<void> {
  await until('the platform is ready', () => {
    if (one.process.exitCode !== null) throw new Error(one.said());
    return /Ready in/.test(one.said());
  });
}

/** Every process of the platform that runs, as written down in its data folder; some may be starting or ending just now. */
function processes(): Map<string, RunningProcess> {
  const folders = ['run', 'postgres', 'temporal'].filter((name) => existsSync(join(folder, name)));
  const files = folders.flatMap((name) =>
    readdirSync(join(folder, name))
      .filter((file) => file.endsWith('.pid'))
      .map((file) => join(name, file)),
  );
  const recorded = files.map((file) => [file, recordedProcess(join(folder, file))] as const);
  return new Map(recorded.flatMap(([file, one]) => (one ? [[file, one]] : [])));
}

/** What a person who has just started it looks for. */
function expectTable(said: string, record: PlatformRecord): void {
  const rows = [
    ['REST edge', record.edgeUrl],
    ['API docs', `${record.edgeUrl}/docs`],
    ['Temporal Web UI', record.temporalUiUrl],
    ['  enrollment-2', record.parts.find(({ name, number }) => name === 'enrollment' && number === 2)?.address],
    ['Demo logins', 'student-001@campus.example, instructor-01@campus.example, staff@campus.example'],
    ['Password', 'registrar-demo'],
  ];
  const lines = said.split('\n').map((line) => line.split(/ {2,}/).filter(Boolean).slice(0, 2));
  for (const [label = '', value] of rows) expect(lines).toContainEqual([label.trim(), value]);
}

// One after the other on the same data, because a start is dear.
describe('a platform', () => {
  let key: string;

  test('starts with the demo campus and says where everything is, and Ctrl-C ends all of it', async () => {
    const port = await freePort();
    const platform = start('--port', String(port), '--scale', 'enrollment=2');
    await ready(platform);

    const record = readPlatform(folder);
    expect(platform.said()).toMatch(/^Starting Postgres and Temporal$/m);
    expect(platform.said()).toMatch(/^0 of \d+ processes are ready; waiting for identity, .*edge/m);
    expect(platform.said()).toMatch(/^Loading the demo campus$/m);
    expectTable(platform.said(), record);
    expect(record.edgeUrl).toBe(`http://127.0.0.1:${port}`);
    expect(statSync(join(folder, 'platform.json')).mode & 0o777).toBe(0o600);
    key = readFileSync(record.serviceKeyFile, 'utf8');
    const running = processes();
    expect([...running.keys()]).toEqual(expect.arrayContaining(['run/enrollment-2.pid', 'postgres/replica-2.pid']));

    expect(await ended(platform.process, 'SIGINT')).toBe(0);

    expect([...running.values()].filter(isRunning)).toEqual([]);
  });

  test('finds its data when it is started again, refuses a second one beside it, and leaves nothing when it is killed', async () => {
    theirs = { PAYMENT_PROVIDER_URL: 'http://127.0.0.1:9' };
    const platform = start('--port', String(await freePort()));
    await ready(platform);
    const record = readPlatform(folder);
    expect(record.paymentProviderUrl).toBe(theirs.PAYMENT_PROVIDER_URL);
    expect(addressesOf(record, 'provider')).toEqual([]);
    expect(platform.said()).not.toContain('Loading the demo campus');
    expect(readFileSync(record.serviceKeyFile, 'utf8')).toBe(key);
    expect(await httpAnswers(`${record.edgeUrl}/healthz`)).toBe(true);

    const beside = start('--port', String(await freePort()));
    expect(await ended(beside.process)).toBe(1);
    expect(beside.said()).toBe(
      `A platform already runs on ${folder}: stop it, or choose another folder with --data.\n`,
    );
    expect(await httpAnswers(`${record.edgeUrl}/healthz`)).toBe(true);

    await expectBackAfterKill(platform, record);

    const left = [...processes().values()];
    expect(left.length).toBeGreaterThan(record.parts.length);
    await ended(platform.process, 'SIGKILL');
    await until('nothing runs any more', () => !left.some(isRunning));
    expect(() => readPlatform(folder)).toThrow(/^No platform runs on /);
  });

  test('starts on servers that somebody else runs, and leaves them running', async () => {
    const [primaryUrl, replicaUrls] = [inject('primaryUrl'), inject('replicaUrls')];
    theirs = {
      ...{ POSTGRES_URL: primaryUrl, POSTGRES_REPLICA_URLS: replicaUrls.join(',') },
      ...{ TEMPORAL_ADDRESS: inject('temporalAddress'), PAYMENT_PROVIDER_URL: 'http://127.0.0.1:9' },
    };
    const platform = start('--port', String(await freePort()));
    await ready(platform);

    const record = readPlatform(folder);
    expect(record).toMatchObject({ primaryUrl, replicaUrls, temporalAddress: inject('temporalAddress') });
    expect(platform.said()).toContain('Loading the demo campus');
    expect([...processes().keys()].filter((file) => !file.startsWith('run/'))).toEqual([]);
    expect(await httpAnswers(`${record.edgeUrl}/v1/sections?limit=1`)).toBe(true);

    expect(await ended(platform.process, 'SIGINT')).toBe(0);
    await runningPostgres(primaryUrl, replicaUrls);

    const afresh = start('--fresh');
    expect(await ended(afresh.process)).toBe(1);
    expect(afresh.said()).toMatch(
      /^--fresh empties our own Postgres only: drop identity, .* or unset POSTGRES_URL\.\n$/,
    );
  });

  test('that is interrupted while it starts ends what it had started', async () => {
    const one = start('--port', String(await freePort()));
    await until('Postgres is ready', () => one.said().includes('Postgres is ready'));
    const all = [...processes().values()];

    expect(await ended(one.process, 'SIGINT')).toBe(130);

    expect(all.length).toBeGreaterThan(2);
    expect(all.filter(isRunning)).toEqual([]);
  });
});

/** A service that is killed serves again under its address. */
async function expectBackAfterKill({ said }: { said: () => string }, record: PlatformRecord): Promise<void> {
  const billing = processes().get('run/billing.pid');
  process.kill(billing?.pid ?? 0, 'SIGKILL');
  await until('billing is another process', () => {
    const now = processes().get('run/billing.pid');
    return now !== undefined && now.startedAt !== billing?.startedAt;
  });
  const [address = ''] = addressesOf(record, 'billing');
  await until('billing serves again', () => grpcServes(address).catch(() => false));
  await until('the restart is told', () =>
    said().includes('billing ended (killed by SIGKILL); starting it again in 0.2 s'),
  );
}

test('a port in use is one sentence that says what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;

  const one = start('--port', String(port));

  expect(await ended(one.process)).toBe(1);
  expect(one.said()).toBe(`Port ${port} is in use: stop what listens there, or choose another with --port.\n`);
  server.close();
});
