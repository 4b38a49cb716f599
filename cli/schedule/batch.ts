import { Code, ConnectError } from '@connectrpc/connect';
import { refusalOf } from '#lib/refusal';
import type { PutCounts } from '#proto/catalog/v1/service';
import { BadRow, type Fault } from './fault.ts';
import type { Place } from './schedule.ts';

const BATCH_MAX = 200;

/** Gathers what is put, sends it in batches, and counts. What is refused, by the catalog or by `send` itself, is found one by one and reported. */
export class Batch<Item extends Place> {
  readonly counts = { created: 0, changed: 0, unchanged: 0 };
  readonly #send: (items: Item[]) => Promise<PutCounts | undefined>;
  readonly #onFault: (fault: Fault, item: Item) => void;
  #waiting: Item[] = [];

  constructor(send: (items: Item[]) => Promise<PutCounts | undefined>, onFault: (fault: Fault, item: Item) => void) {
    this.#send = send;
    this.#onFault = onFault;
  }

  async add(item: Item): Promise<void> {
    this.#waiting.push(item);
    if (this.#waiting.length >= BATCH_MAX) await this.flush();
  }

  async flush(): Promise<void> {
    const items = this.#waiting;
    this.#waiting = [];
    if (items.length > 0) await this.#deliver(items);
  }

  async #deliver(items: Item[]): Promise<void> {
    try {
      const { created = 0, changed = 0, unchanged = 0 } = (await this.#send(items)) ?? {};
      this.counts.created += created;
      this.counts.changed += changed;
      this.counts.unchanged += unchanged;
    } catch (failure) {
      const reason = refusedBecause(failure);
      if (reason === undefined) throw failure;
      const [only, ...others] = items;
      if (only && others.length === 0) this.#onFault({ file: only.file, line: only.line, reason }, only);
      else for (const item of items) await this.#deliver([item]);
    }
  }
}

function refusedBecause(failure: unknown): string | undefined {
  if (failure instanceof BadRow) return failure.message;
  if (failure instanceof ConnectError && failure.code === Code.InvalidArgument) return failure.rawMessage;
  return refusalOf(failure)?.message;
}
