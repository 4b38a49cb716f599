/** Gathers what waits into batches, with a bound on everything. */

export class QueueFull extends Error {
  constructor(waiting: number) {
    super(`${waiting} requests are waiting already`);
    this.name = 'QueueFull';
  }
}

export interface BatcherOptions<Item, Answer> {
  batchMax: number;
  inFlightMax: number;
  /** Beside a batch that runs another one starts only when so many items wait; default 1. */
  besideMin?: number;
  queueMax: number;
  /** Answers every item of a batch, in order; an Error as an answer fails that item alone. Throwing fails the whole batch. */
  run(items: Item[]): Promise<(Answer | Error)[]>;
  onBatch?(size: number): void;
}

interface Waiting<Item, Answer> {
  item: Item;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/**
 * `submit` queues an item and resolves with its answer. A batch starts as soon as fewer than `inFlightMax` run and takes what waits
 * then, so batches are small when it is quiet and large when it is busy.
 */
export class Batcher<Item, Answer> {
  readonly #options: BatcherOptions<Item, Answer>;
  readonly #queue: Waiting<Item, Answer>[] = [];
  #inFlight = 0;
  #unanswered = 0;
  #scheduled = false;

  constructor(options: BatcherOptions<Item, Answer>) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Items that wait or are in a batch that runs. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** @throws QueueFull when `queueMax` items wait already. */
  submit(item: Item): Promise<Answer> {
    if (this.#queue.length >= this.#options.queueMax) return Promise.reject(new QueueFull(this.#queue.length));
    return new Promise((resolve, reject) => {
      this.#queue.push({ item, resolve, reject });
      this.#unanswered++;
      this.#schedule();
    });
  }

  /** Everything that arrives in one turn of the event loop shares a batch. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#inFlight < this.#options.inFlightMax && this.#queue.length >= this.#batchMin()) {
        void this.#run(this.#queue.splice(0, this.#options.batchMax));
      }
    });
  }

  #batchMin(): number {
    return this.#inFlight > 0 ? (this.#options.besideMin ?? 1) : 1;
  }

  async #run(batch: Waiting<Item, Answer>[]): Promise<void> {
    this.#inFlight++;
    this.#options.onBatch?.(batch.length);
    try {
      const answers = await this.#options.run(batch.map(({ item }) => item));
      for (const [index, waiting] of batch.entries()) settle(waiting, answers[index]);
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      this.#inFlight--;
      this.#unanswered -= batch.length;
      this.#schedule();
    }
  }
}

function settle<Item, Answer>(waiting: Waiting<Item, Answer>, answer: Answer | Error | undefined): void {
  if (answer instanceof Error) waiting.reject(answer);
  else if (answer === undefined) waiting.reject(new Error('the batch answered fewer items than it was given'));
  else waiting.resolve(answer);
}
