/** Whether students register in a crowd just now. Then sagas give way: a seat is answered for within the second, a card need not be. */
import { setTimeout as sleep } from 'node:timers/promises';

/** So many registrations, undecided at one moment, are a crowd. */
const CROWD_MIN = 32;
const LOOK_EVERY_MS = 100;
/** A crowd that was seen is still there so much later, though a look falls between two batches. */
const RUSH_MS = 1_000;
/** Between two sagas in a rush: few, but they never stand still. */
const PAUSE_MS = 1_000;

export class Rush {
  readonly #countUndecided: () => Promise<number>;
  #turn = Promise.resolve();
  #lookAtMs = Number.NEGATIVE_INFINITY;
  #untilMs = Number.NEGATIVE_INFINITY;

  constructor(countUndecided: () => Promise<number>) {
    this.#countUndecided = countUndecided;
  }

  /** Resolves at once while it is calm; in a rush for one after the other, with {@link PAUSE_MS} between. @throws when the signal aborts */
  giveWay(signal: AbortSignal): Promise<void> {
    const mine = this.#turn.then(async () => {
      if (performance.now() >= this.#lookAtMs) await this.#look();
      if (performance.now() < this.#untilMs) await sleep(PAUSE_MS, undefined, { signal });
    });
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #look(): Promise<void> {
    this.#lookAtMs = performance.now() + LOOK_EVERY_MS;
    // Nobody crowds before a service that is away.
    const count = await this.#countUndecided().catch(() => 0);
    if (count >= CROWD_MIN) this.#untilMs = performance.now() + RUSH_MS;
  }
}
