import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, type ChildSpec, startChild, tailOf } from './child.ts';
import { PlatformError } from './failure.ts';
import { type End, isHopeless, remedyFor, whyNotUp } from './last-words.ts';
import { lowerPriority } from './priority.ts';
import { send } from './running-process.ts';

const BACKOFF_MIN_MS = 200;
const BACKOFF_MAX_MS = 10_000;
/** Who lived this long is started again without a growing pause. */
const HEALTHY_AFTER_MS = 30_000;
const READY_POLL_MS = 50;
const CRASHES_BEFORE_READY_MAX = 5;

export interface KeeperOptions {
  /** As people call it. */
  name: string;
  child: ChildSpec;
  /** Whether it answers; a throw counts as not yet. */
  isReady: () => Promise<boolean>;
  readyTimeoutMs: number;
  /** As `nice`: higher is less important. From when it was ready first: until then somebody waits for it. */
  niceness?: number;
  /** Puts in order what the last run left, before each start. */
  beforeStart?: () => Promise<void>;
  /** One line about each restart. */
  onEvent?: (line: string) => void;
}

/** Keeps one process running: what dies is started again, with a growing pause. */
export class Keeper {
  readonly name: string;
  readonly #options: KeeperOptions;
  #child: Child | undefined;
  #running: Promise<void> | undefined;
  #stopping = new AbortController();
  #crashes = 0;
  #wasReady = false;
  #lastEnd: End = { how: '', words: '' };

  constructor(options: KeeperOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Undefined while it is down. */
  pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts it and answers when it is ready. @throws PlatformError where it cannot come up */
  async start(signal?: AbortSignal): Promise<void> {
    this.#stopping = new AbortController();
    this.#running = this.#run(this.#stopping.signal);
    await this.untilReady(signal);
    this.#wasReady = true;
    this.#lowerPriority();
  }

  /** Answers when it is ready again, after a crash for example. @throws PlatformError where it cannot come up */
  async untilReady(signal?: AbortSignal): Promise<void> {
    const { isReady, readyTimeoutMs } = this.#options;
    const deadline = Date.now() + readyTimeoutMs;
    const crashesBefore = this.#crashes;
    while (!(this.#child && (await isReady().catch(() => false)))) {
      signal?.throwIfAborted();
      if (this.#stopping.signal.aborted) throw new PlatformError(`${this.name} was stopped before it was ready.`);
      const crashes = this.#crashes - crashesBefore;
      if (crashes >= CRASHES_BEFORE_READY_MAX || (crashes > 0 && isHopeless(this.#lastEnd)))
        throw this.#notUp(this.#lastEnd);
      if (Date.now() > deadline) throw this.#notUp({ how: `no answer within ${readyTimeoutMs / 1000} s`, words: '' });
      await sleep(READY_POLL_MS);
    }
  }

  /** Sends a signal to the process: SIGKILL to see it come back, SIGSTOP and SIGCONT to see it hang. */
  signal(signal: NodeJS.Signals): void {
    if (this.#child) send(this.#child.pid, signal);
  }

  /** Ends it in order and leaves it ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const { child, onEvent } = this.#options;
    const inOrder = (await this.#child?.stop()) ?? true;
    await this.#running;
    if (!inOrder) onEvent?.(`${this.name} did not end within ${child.stopTimeoutMs / 1000} s and was killed`);
  }

  async #run(stopped: AbortSignal): Promise<void> {
    let backoffMs = BACKOFF_MIN_MS;
    while (!stopped.aborted) {
      const startedAt = Date.now();
      this.#lastEnd = await this.#runOnce(stopped);
      if (stopped.aborted) return;
      this.#crashes += 1;
      if (Date.now() - startedAt > HEALTHY_AFTER_MS) backoffMs = BACKOFF_MIN_MS;
      this.#report(this.#lastEnd, backoffMs);
      await sleep(backoffMs, undefined, { signal: stopped }).catch(() => undefined);
      backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS);
    }
  }

  async #runOnce(stopped: AbortSignal): Promise<End> {
    const { beforeStart, child: spec } = this.#options;
    try {
      await beforeStart?.();
      if (stopped.aborted) return { how: 'not started', words: '' };
      const child = await startChild(spec);
      this.#child = child;
      if (this.#wasReady) this.#lowerPriority();
      if (stopped.aborted) await child.stop();
      return { how: await child.exited, words: tailOf(spec.logFile, child.logStart) };
    } catch (failure) {
      return { how: failure instanceof Error ? failure.message : String(failure), words: '' };
    } finally {
      this.#child = undefined;
    }
  }

  #lowerPriority(): void {
    const { niceness } = this.#options;
    if (this.#child && niceness !== undefined) void lowerPriority(this.#child.pid, niceness);
  }

  #report(end: End, backoffMs: number): void {
    const remedy = remedyFor(end);
    const line = `${this.name} ended (${end.how}); starting it again in ${backoffMs / 1000} s`;
    this.#options.onEvent?.(remedy ? `${line}. ${remedy}` : line);
  }

  #notUp(end: End): PlatformError {
    return new PlatformError(whyNotUp(this.name, end, this.#options.child.logFile));
  }
}
