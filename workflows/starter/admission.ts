/** How many sagas may be open in Temporal at once: a box that holds thousands of open ones does each of them more slowly. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';

/** Between two counts, and after a start: Temporal counts a workflow a moment after it has taken it. */
const RECOUNT_MS = 200;

/** Counts running sagas that are not stuck: those wait for an operator, and must not hold up everybody else. */
export class Admission {
  readonly #client: Client;
  readonly #taskQueue: string;
  readonly #openMax: number;
  #counted = 0;
  #entered = 0;
  /** Of those that entered, how many the last count was sure to see. */
  #enteredAtCount = 0;
  #starting = 0;
  #quietSinceMs = Number.NEGATIVE_INFINITY;
  #counting: Promise<void> | undefined;

  constructor(client: Client, { taskQueue, openMax }: { taskQueue: string; openMax: number }) {
    this.#client = client;
    this.#taskQueue = taskQueue;
    this.#openMax = openMax;
  }

  /** As far as is known; some twice, until the next count. */
  get open(): number {
    return this.#counted + this.#entered - this.#enteredAtCount;
  }

  /** Runs `start` when one more may be started. @throws when the signal aborts, or Temporal cannot tell. */
  async enter(signal: AbortSignal, start: () => Promise<void>): Promise<void> {
    while (this.open >= this.#openMax) await this.#recount(signal);
    signal.throwIfAborted();
    this.#entered++;
    this.#starting++;
    try {
      await start();
    } finally {
      this.#starting--;
      this.#quietSinceMs = performance.now();
    }
  }

  /** Once for all who wait. */
  #recount(signal: AbortSignal): Promise<void> {
    this.#counting ??= this.#count(signal).finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #count(signal: AbortSignal): Promise<void> {
    const pauseMs = this.#quietSinceMs + RECOUNT_MS - performance.now();
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal });
    const sureToSee = this.#entered - this.#starting;
    const query = `TaskQueue = '${this.#taskQueue}' and ExecutionStatus = 'Running' and Outcome = 'running'`;
    const { count } = await this.#client.workflow.count(query);
    this.#counted = count;
    this.#enteredAtCount = sureToSee;
    this.#quietSinceMs = performance.now();
  }
}
