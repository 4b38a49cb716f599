import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type ChildSpec, startChild } from './child.ts';
import { Keeper } from './keeper.ts';
import { isRunning, type RunningProcess, runningProcess } from './running-process.ts';

let folder: string;
const started: Keeper[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'registrar-keeper-'));
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
  rmSync(folder, { recursive: true });
});

/** A process of one small script, which is ready once it has written a file. */
function kept(
  script: string,
  events: string[] = [],
  { niceness = 0, ...child }: Partial<ChildSpec> & { niceness?: number } = {},
): Keeper {
  const file = join(folder, 'script.mjs');
  const ready = join(folder, 'ready');
  writeFileSync(file, `import { writeFileSync } from 'node:fs';\nconst ready = ${JSON.stringify(ready)};\n${script}`);
  const one = new Keeper({
    name: 'example',
    child: { ...specOf(file), ...child },
    isReady: async () => readFileSync(ready, 'utf8') === String(one.pid()),
    readyTimeoutMs: 20_000,
    niceness,
    onEvent: (line) => events.push(line),
  });
  started.push(one);
  return one;
}

function specOf(script: string): ChildSpec {
  return {
    command: process.execPath,
    arguments: [script],
    environment: {},
    logFile: join(folder, 'logs', 'example.log'),
    pidFile: join(folder, 'example.pid'),
    stopSignal: 'SIGTERM',
    abandonSignal: 'SIGKILL',
    stopTimeoutMs: 10_000,
  };
}

const LIVES_ON = 'setInterval(() => {}, 1000); writeFileSync(ready, String(process.pid));';

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not become true');
    await sleep(20);
  }
}

function identify(pid: number | undefined): RunningProcess {
  const one = pid === undefined ? undefined : runningProcess(pid);
  if (!one) throw new Error('not running');
  return one;
}

test('a killed process is started again, with one line about it', async () => {
  const events: string[] = [];
  const one = kept(LIVES_ON, events);
  await one.start();
  const first = identify(one.pid());

  one.signal('SIGKILL');
  await until(() => one.pid() !== undefined && one.pid() !== first.pid);
  await one.untilReady();

  expect(isRunning(first)).toBe(false);
  expect(events).toEqual(['example ended (killed by SIGKILL); starting it again in 0.2 s']);
});

test('a stopped process stays stopped and leaves nothing, and can be started again', async () => {
  const one = kept(LIVES_ON);
  await one.start();
  const first = identify(one.pid());

  await one.stop();
  expect(isRunning(first)).toBe(false);
  expect(existsSync(join(folder, 'example.pid'))).toBe(false);

  await one.start();
  expect(one.pid()).toBeDefined();
});

test('a process that does not obey is ended by force, also while it is paused', async () => {
  const events: string[] = [];
  const one = kept(`process.on('SIGTERM', () => {}); ${LIVES_ON}`, events, { stopTimeoutMs: 100 });
  await one.start();
  const first = identify(one.pid());
  one.signal('SIGSTOP');

  await one.stop();

  expect(isRunning(first)).toBe(false);
  expect(events).toEqual(['example did not end within 0.1 s and was killed']);
});

test('a process that cannot start says so in one sentence with its own last words', async () => {
  const one = kept(`console.log('{"level":"fatal","msg":"the moon is full"}'); process.exit(3);`);

  await expect(one.start()).rejects.toThrow(
    /^example cannot start \(exit code 3\): the moon is full\. See .*example\.log$/,
  );
});

test('a process that cannot be written down, as on a full disk, does not run', async () => {
  const script = join(folder, 'idle.mjs');
  const pidFile = join(folder, 'no such folder', 'example.pid');
  writeFileSync(script, `import { writeFileSync } from 'node:fs'; setInterval(() => {}, 1000);`);

  await expect(startChild({ ...specOf(script), pidFile })).rejects.toThrow(/ENOENT/);

  const commands = spawnSync('ps', ['-A', '-o', 'args='], { encoding: 'utf8' }).stdout;
  expect(commands).toContain('vitest');
  expect(commands).not.toContain(script);
});

test('a full disk is told at once, in one sentence', async () => {
  const one = kept(`console.error('could not write: No space left on device'); process.exit(1);`);

  await expect(one.start()).rejects.toThrow(
    'The disk is full (a process could not write): free some space, then start again.',
  );
});

test('a process whose supervisor is killed by SIGKILL ends too', async () => {
  const supervisor = join(folder, 'supervisor.mjs');
  const script = join(folder, 'idle.mjs');
  writeFileSync(script, `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`);
  writeFileSync(
    supervisor,
    `import { startChild } from ${JSON.stringify(import.meta.resolve('./child.ts'))};
     const child = await startChild(${JSON.stringify(specOf(script))});
     console.log(child.pid);`,
  );
  const parent = spawn(process.execPath, [supervisor], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(parent.stdout, 'data');
  const child = identify(Number(String(line)));
  expect(isRunning(child)).toBe(true);

  parent.kill('SIGKILL');

  await until(() => !isRunning(child));
});

test('what a killed supervisor and its guard left behind is ended by the next start', async () => {
  const script = join(folder, 'idle.mjs');
  writeFileSync(script, 'setInterval(() => {}, 1000);');
  const orphan = spawn(process.execPath, [script], { stdio: 'ignore', detached: true });
  await once(orphan, 'spawn');
  const left = identify(orphan.pid);
  writeFileSync(join(folder, 'example.pid'), JSON.stringify(left));

  await kept(LIVES_ON).start();

  expect(isRunning(left)).toBe(false);
});

test('another process that got the number of a dead one is left alone', async () => {
  const script = join(folder, 'idle.mjs');
  writeFileSync(script, 'setInterval(() => {}, 1000);');
  const stranger = spawn(process.execPath, [script], { stdio: 'ignore' });
  await once(stranger, 'spawn');
  const alive = identify(stranger.pid);
  writeFileSync(join(folder, 'example.pid'), JSON.stringify({ pid: alive.pid, startedAt: 'long ago' }));

  await kept(LIVES_ON).start();

  expect(isRunning(alive)).toBe(true);
  stranger.kill('SIGKILL');
});

test('what is less important waits only once it was ready: until then somebody waits for it', async () => {
  const told = join(folder, 'priority');
  const tells = `import { getPriority } from 'node:os'; writeFileSync(${JSON.stringify(told)}, String(getPriority()));`;
  const one = kept(`${tells} ${LIVES_ON}`, [], { niceness: 7 });
  const priority = () => getPriority(one.pid() ?? 0);

  await one.start();
  expect(readFileSync(told, 'utf8')).toBe(String(getPriority()));
  await until(() => priority() === 7);

  const first = one.pid();
  one.signal('SIGKILL');
  await until(() => one.pid() !== undefined && one.pid() !== first);
  await until(() => priority() === 7);
});
