import { setTimeout as sleep } from 'node:timers/promises';
import { Denial } from './book.ts';

export type Mode = 'normal' | 'slow' | 'down';

/** How the provider feels today, for demonstrations; a restarted instance feels normal. */
export class Weather {
  mode: Mode = 'normal';
  readonly #slowMs: number;
  readonly #silentMs: number;
  readonly #ending = new AbortController();

  constructor(slowMs: number, silentMs: number) {
    this.#slowMs = slowMs;
    this.#silentMs = silentMs;
  }

  /** Lets a request through at once, slowly, or not at all. */
  async pass(): Promise<void> {
    if (this.mode === 'down') throw new Denial(503, 'down', 'The provider is down.');
    if (this.mode === 'slow') await this.slowly();
  }

  slowly(): Promise<void> {
    return this.#wait(this.#slowMs);
  }

  silently(): Promise<void> {
    return this.#wait(this.#silentMs);
  }

  /** Ends every wait, so that the server can close. */
  end(): void {
    this.#ending.abort();
  }

  async #wait(delayMs: number): Promise<void> {
    await sleep(delayMs, undefined, { signal: this.#ending.signal, ref: false }).catch((failure: unknown) => {
      if (!this.#ending.signal.aborted) throw failure;
    });
  }
}
