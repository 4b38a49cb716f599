import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process that cannot be mistaken for a later one of the same number. */
export interface RunningProcess {
  pid: number;
  /** An opaque word that stays the same as long as the process lives. */
  startedAt: string;
}

const POLL_MS = 20;
const KILL_TIMEOUT_MS = 5_000;

/** The process that has this number now, if any. */
export function runningProcess(pid: number): RunningProcess | undefined {
  const startedAt = process.platform === 'linux' ? startOnLinux(pid) : startElsewhere(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

function startOnLinux(pid: number): string | undefined {
  const [state, ...rest] = statOnLinux(pid) ?? [];
  // Field 22 of the line; a zombie has ended, though nobody has asked how.
  return state === 'Z' ? undefined : rest[18];
}

/** What /proc tells of a process, from its third field, the state, on. */
function statOnLinux(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses, which may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function startElsewhere(pid: number): string | undefined {
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout.trim() || undefined;
}

/** Whether that very process still runs. */
export function isRunning(one: RunningProcess): boolean {
  return runningProcess(one.pid)?.startedAt === one.startedAt;
}

/** Writes down which process runs, so that a later start can find what was left behind. */
export function recordProcess(file: string, pid: number): void {
  const one = runningProcess(pid);
  if (one) writeFileSync(file, JSON.stringify(one), { mode: 0o600 });
}

/** The process that was written down, if it still runs. */
export function recordedProcess(file: string): RunningProcess | undefined {
  try {
    const { pid, startedAt }: Partial<RunningProcess> = JSON.parse(readFileSync(file, 'utf8'));
    if (pid === undefined || startedAt === undefined) return undefined;
    return isRunning({ pid, startedAt }) ? { pid, startedAt } : undefined;
  } catch {
    return undefined;
  }
}

/** Ends what an earlier supervisor left behind and forgets it; answers when it is gone. */
export async function endLeftover(file: string, signal: NodeJS.Signals): Promise<void> {
  const leftover = recordedProcess(file);
  if (leftover) {
    send(leftover.pid, signal);
    if (!(await goneWithin(leftover, KILL_TIMEOUT_MS))) send(leftover.pid, 'SIGKILL');
    await goneWithin(leftover, KILL_TIMEOUT_MS);
  }
  rmSync(file, { force: true });
}

async function goneWithin(one: RunningProcess, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isRunning(one)) {
    if (Date.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

/** Sends a signal; a process that is gone already is no failure. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (failure) {
    if (!(failure instanceof Error && 'code' in failure && failure.code === 'ESRCH')) throw failure;
  }
}

/** Sends a signal to a process and everything it started, parents first. */
export function signalTree(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  for (const one of treeOf(pid)) send(one, signal);
}

/** The numbers of a process and of everything it started, parents first. */
export function treeOf(pid: number): number[] {
  const parents = parentsByPid();
  const tree = [pid];
  // A loop over a growing list: each process appends its own children.
  for (const parent of tree) {
    for (const [child, of] of parents) if (of === parent) tree.push(child);
  }
  return tree;
}

function parentsByPid(): Map<number, number> {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' });
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number));
    return new Map(rows.map(([pid = 0, parent = 0]) => [pid, parent]));
  }
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return new Map(pids.map((pid) => [pid, Number(statOnLinux(pid)?.[1])]));
}
