/** How many sagas may be open in Temporal at once: a box that holds thousands of open ones does each of them more slowly. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';

const RECOUNT_MS = 200;

/** Counts running sagas that are not stuck: those wait for an operator, and must not hold up everybody else. */
export class Admission {
  readonly #client: Client;
  readonly #taskQueue: string;
  readonly #openMax: number;
  #counted = 0;
  #countedAtMs = 0;
  #startedSince = 0;
  #counting: Promise<void> | undefined;

  constructor(client: Client, { taskQueue, openMax }: { taskQueue: string; openMax: number }) {
    this.#client = client;
    this.#taskQueue = taskQueue;
    this.#openMax = openMax;
  }

  /** As far as is known. */
  get open(): number {
    return this.#counted + this.#startedSince;
  }

  /** Resolves when one more may be started. @throws when the signal aborts, or Temporal cannot tell. */
  async enter(signal: AbortSignal): Promise<void> {
    while (this.open >= this.#openMax) await this.#recount(signal);
    signal.throwIfAborted();
    this.#startedSince++;
  }

  /** Once for all who wait. */
  #recount(signal: AbortSignal): Promise<void> {
    this.#counting ??= this.#count(signal).finally(() => {
      this.#counting = undefined;
    });
    return this.#counting;
  }

  async #count(signal: AbortSignal): Promise<void> {
    const pauseMs = this.#countedAtMs + RECOUNT_MS - Date.now();
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal });
    const query = `TaskQueue = '${this.#taskQueue}' and ExecutionStatus = 'Running' and Outcome = 'running'`;
    const { count } = await this.#client.workflow.count(query);
    this.#counted = count;
    this.#countedAtMs = Date.now();
    this.#startedSince = 0;
  }
}
