import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, type ChildSpec, startChild, tailOf } from './child.ts';
import { PlatformError, sentenceForLog } from './failure.ts';
import { send } from './running-process.ts';

const backoffMinMs = 200;
const backoffMaxMs = 10_000;
/** Who lived this long is started again without a growing pause. */
const healthyAfterMs = 30_000;
const readyPollMs = 50;
const crashesBeforeReadyMax = 5;
/** EX_CONFIG of sysexits.h: trying again cannot help. */
const misconfigured = 'exit code 78';

export interface KeeperOptions {
  /** As people call it. */
  name: string;
  child: ChildSpec;
  /** Whether it answers; a throw counts as not yet. */
  isReady: () => Promise<boolean>;
  readyTimeoutMs: number;
  /** Put in order what the last run left, before each start. */
  beforeStart?: () => Promise<void>;
  /** One line about each restart. */
  onEvent?: (line: string) => void;
}

/** Keeps one process running: what dies is started again, with a growing pause. */
export interface Keeper {
  name: string;
  logFile: string;
  /** Undefined while it is down. */
  pid(): number | undefined;
  /** Starts it and answers when it is ready. @throws PlatformError where it cannot come up */
  start(signal?: AbortSignal): Promise<void>;
  /** Answers when it is ready again, after a crash for example. */
  untilReady(signal?: AbortSignal): Promise<void>;
  /** Sends a signal to the process: SIGKILL to see it come back, SIGSTOP and SIGCONT to see it hang. */
  signal(signal: NodeJS.Signals): void;
  /** Ends it in order and leaves it ended. */
  stop(): Promise<void>;
}

/** A keeper of a process that is not started yet. */
export function keeper(options: KeeperOptions): Keeper {
  let child: Child | undefined;
  let running: Promise<void> | undefined;
  let stopping = new AbortController();
  let crashes = 0;
  let lastEnd = '';
  let lastWords = '';

  async function run(stopped: AbortSignal): Promise<void> {
    let backoffMs = backoffMinMs;
    while (!stopped.aborted) {
      const startedAt = Date.now();
      lastEnd = await runOnce(stopped);
      if (stopped.aborted) return;
      crashes += 1;
      if (Date.now() - startedAt > healthyAfterMs) backoffMs = backoffMinMs;
      options.onEvent?.(`${options.name} ended (${lastEnd}); starting it again in ${backoffMs / 1000} s`);
      await sleep(backoffMs, undefined, { signal: stopped }).catch(() => undefined);
      backoffMs = Math.min(backoffMs * 2, backoffMaxMs);
    }
  }

  async function runOnce(stopped: AbortSignal): Promise<string> {
    try {
      await options.beforeStart?.();
      if (stopped.aborted) return 'not started';
      child = await startChild(options.child);
      if (stopped.aborted) await child.stop();
      const end = await child.exited;
      lastWords = tailOf(options.child.logFile, child.logStart);
      return end;
    } catch (failure) {
      return failure instanceof Error ? failure.message : String(failure);
    } finally {
      child = undefined;
    }
  }

  async function untilReady(signal?: AbortSignal): Promise<void> {
    const deadline = Date.now() + options.readyTimeoutMs;
    const crashesMax = crashes + crashesBeforeReadyMax;
    while (!(child && (await options.isReady().catch(() => false)))) {
      signal?.throwIfAborted();
      if (stopping.signal.aborted) throw new PlatformError(`${options.name} was stopped before it was ready.`);
      if (crashes >= crashesMax || (crashes > 0 && lastEnd === misconfigured))
        throw cannotStart(options, lastEnd, lastWords);
      if (Date.now() > deadline) throw cannotStart(options, `no answer within ${options.readyTimeoutMs / 1000} s`);
      await sleep(readyPollMs);
    }
  }

  return {
    name: options.name,
    logFile: options.child.logFile,
    pid: () => child?.pid,
    async start(signal) {
      stopping = new AbortController();
      running = run(stopping.signal);
      await untilReady(signal);
    },
    untilReady,
    signal(signal) {
      if (child) send(child.pid, signal);
    },
    async stop() {
      stopping.abort();
      await child?.stop();
      await running;
    },
  };
}

function cannotStart({ name, child }: KeeperOptions, why: string, words = ''): PlatformError {
  const last = lastMessage(words)?.replace(`${name} cannot start: `, '');
  const sentence =
    sentenceForLog(`${why}\n${words}`) ??
    `${name} cannot start (${why})${last ? `: ${last}` : ''}. See ${child.logFile}`;
  return new PlatformError(sentence);
}

/** The last thing worth reading: the newest JSON line of a level above info, else the last line. */
function lastMessage(tail: string): string | undefined {
  const lines = tail.split('\n').filter((line) => line.trim());
  const telling =
    lines.findLast((line) => /FATAL|PANIC|"level":"?(error|fatal|50|60)|^\w*(Error|Exception)\b/.test(line)) ??
    lines.at(-1);
  if (!telling?.startsWith('{')) return telling;
  try {
    const entry: { msg?: unknown } = JSON.parse(telling);
    return typeof entry.msg === 'string' ? entry.msg : telling;
  } catch {
    return telling;
  }
}
