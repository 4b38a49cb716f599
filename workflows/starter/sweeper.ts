/**
 * Starts sagas that were forgotten. The log starts each one once; but a Temporal server that was restored from a backup, or lost its disk,
 * has forgotten sagas that the log will not name again. Starting is idempotent by workflow id, so asking again for those that are
 * merely slow changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import type { Logger } from '#lib/log';
import type { Registration } from '#proto/enrollment/v1/registration';
import type { EnrollmentService } from '#proto/enrollment/v1/service';

const PAUSE_MS = 60_000;
/** Younger ones are probably on their way. */
const AGE_MIN_MS = 120_000;
const AT_ONCE_MAX = 100;

export interface SweeperOptions {
  enrollment: Client<typeof EnrollmentService>;
  logger: Logger;
  again(registration: Registration, signal: AbortSignal): Promise<void>;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #stopping = new AbortController();
  /** Where the next look goes on, so that those which are merely stuck hide nobody. */
  #afterId = '';

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Looks once for some of what has been pending for `ageMs`. @returns how many it asked Temporal for. */
  async sweep(ageMs = AGE_MIN_MS): Promise<number> {
    const requestedBefore = timestampFromDate(new Date(Date.now() - ageMs));
    const { registrations } = await this.#options.enrollment.listPendingRegistrations({
      requestedBefore,
      limit: AT_ONCE_MAX,
      afterId: this.#afterId,
    });
    this.#afterId = registrations.length < AT_ONCE_MAX ? '' : (registrations.at(-1)?.id ?? '');
    for (const registration of registrations) await this.#options.again(registration, this.#stopping.signal);
    return registrations.length;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      // Whoever is away now is asked again at the next look.
      await this.sweep().catch((error: unknown) => this.#options.logger.warn({ reason: String(error) }, 'not swept'));
    }
  }
}
