import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLeftover, recordProcess, send } from './running-process.ts';

const LOG_BYTES_MAX = 10 * 1024 * 1024;
const TAIL_BYTES_MAX = 4_096;

export interface ChildSpec {
  command: string;
  arguments: string[];
  environment: Record<string, string | undefined>;
  logFile: string;
  /** Where the running process is written down, so that a later start can end what was left behind. */
  pidFile: string;
  /** Asks for an orderly end. */
  stopSignal: NodeJS.Signals;
  /** Ends it at once, but with its own children; sent when the supervisor was killed. */
  abandonSignal: NodeJS.Signals;
  stopTimeoutMs: number;
  user?: { uid: number; gid: number } | undefined;
  /** With a channel, a Node process notices by itself when its supervisor dies. */
  channel?: boolean;
}

export interface Child {
  pid: number;
  /** Where in its log file this run begins. */
  logStart: number;
  /** Answers in words how it ended. */
  exited: Promise<string>;
  /** Ends it in order, and by force once it took too long. @returns whether it ended by itself. */
  stop(): Promise<boolean>;
}

/** Starts a process that lives no longer than this one, whatever way this one ends. */
export async function startChild(spec: ChildSpec): Promise<Child> {
  await endLeftover(spec.pidFile, spec.abandonSignal);
  const log = openLog(spec.logFile);
  const logStart = fstatSync(log).size;
  const child = spawn(spec.command, spec.arguments, {
    cwd: '/',
    env: spec.environment,
    stdio: ['ignore', log, log, ...(spec.channel ? ['ipc' as const] : [])],
    // A session of its own: Ctrl-C in a terminal reaches only the supervisor, which ends its children in order.
    detached: true,
    ...spec.user,
  });
  try {
    await once(child, 'spawn');
  } finally {
    closeSync(log);
  }
  const pid = child.pid as number; // it was spawned
  const handle = { ...handleOf(child, pid, spec), logStart };
  try {
    recordProcess(spec.pidFile, pid);
  } catch (failure) {
    // A full disk: what nobody could find again must not run.
    send(pid, 'SIGKILL');
    await handle.exited;
    throw failure;
  }
  return handle;
}

function handleOf(child: ChildProcess, pid: number, spec: ChildSpec): Omit<Child, 'logStart'> {
  const guard = guardAgainstAbandonment(pid, spec.abandonSignal);
  const exited = once(child, 'exit').then(([code, signal]) => {
    guard.kill('SIGKILL');
    rmSync(spec.pidFile, { force: true });
    return signal ? `killed by ${signal}` : `exit code ${code}`;
  });
  return {
    pid,
    exited,
    async stop() {
      // A paused process hears nothing but SIGKILL.
      send(pid, 'SIGCONT');
      send(pid, spec.stopSignal);
      const timer = new AbortController();
      const late = sleep(spec.stopTimeoutMs, 'late' as const, { signal: timer.signal }).catch(() => 'in time' as const);
      const isLate = (await Promise.race([exited, late])) === 'late';
      if (isLate) send(pid, spec.abandonSignal);
      timer.abort();
      await exited;
      return !isLate;
    },
  };
}

// Its input ends when this process does, even by SIGKILL; then it ends the child that it watches.
const GUARD_SCRIPT = `
read -r _
kill -CONT "$2"; kill -s "$1" "$2" || exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; kill -0 "$2" || exit 0; done
kill -KILL "$2"
`;

function guardAgainstAbandonment(pid: number, signal: NodeJS.Signals): ChildProcess {
  const name = signal.replace('SIG', '');
  const guard = spawn('/bin/sh', ['-c', GUARD_SCRIPT, 'registrar-guard', name, String(pid)], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  return guard;
}

function openLog(file: string): number {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES_MAX) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}

/** The last lines that a process wrote since its log was this long. */
export function tailOf(logFile: string, since: number): string {
  try {
    return readFileSync(logFile).subarray(since).subarray(-TAIL_BYTES_MAX).toString('utf8');
  } catch {
    return '';
  }
}
