/** The REST edge as a well-behaved client uses it: few at once, and who is told to wait waits. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { PlatformError } from '../../local/failure.ts';

const CONNECTIONS_MAX = 256;
const REQUEST_TIMEOUT_MS = 30_000;
const GIVE_UP_AFTER_MS = 180_000;
const PAUSE_FIRST_MS = 100;
const PAUSE_MAX_MS = 5_000;

export interface Ask {
  method: 'GET' | 'POST' | 'PUT';
  path: string;
  /** Access token. */
  token?: string;
  consistencyToken?: string;
  body?: unknown;
}

export interface Answer {
  status: number;
  body: unknown;
  consistencyToken: string | undefined;
  /** From the first attempt to the last one's answer. */
  tookMs: number;
  attempts: number;
}

/** One attempt's answer. */
interface Heard extends Pick<Answer, 'status' | 'body' | 'consistencyToken'> {
  retryAfterMs: number;
}

export class Edge {
  readonly #pool: Pool;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
    this.#pool = new Pool(url, {
      connections: CONNECTIONS_MAX,
      pipelining: 1,
      headersTimeout: REQUEST_TIMEOUT_MS,
      bodyTimeout: REQUEST_TIMEOUT_MS,
    });
  }

  /**
   * Asks until there is an answer other than "not now"; all that the demo asks is safe to repeat.
   * @throws PlatformError where there is none for minutes
   */
  async ask(ask: Ask): Promise<Answer> {
    const startedAt = performance.now();
    for (let attempts = 1, pauseMs = PAUSE_FIRST_MS; ; attempts++, pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
      const outcome = await this.#try(ask);
      const tookMs = performance.now() - startedAt;
      if (!(outcome instanceof Error) && !isNotNow(outcome.status)) return { ...outcome, tookMs, attempts };
      if (tookMs > GIVE_UP_AFTER_MS) throw new PlatformError(this.#silent(ask, outcome));
      await sleep(Math.max(pauseMs, outcome instanceof Error ? 0 : outcome.retryAfterMs));
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  async #try({ method, path, token, consistencyToken, body }: Ask): Promise<Heard | Error> {
    try {
      const response = await this.#pool.request({
        method,
        path,
        headers: {
          ...(token && { authorization: `Bearer ${token}` }),
          ...(consistencyToken && { 'consistency-token': consistencyToken }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return {
        status: response.statusCode,
        body: (await response.body.json()) as unknown, // whoever asked knows the route's answer
        consistencyToken: textOf(response.headers['consistency-token']),
        retryAfterMs: Number(textOf(response.headers['retry-after']) ?? 0) * 1_000,
      };
    } catch (failure) {
      return failure instanceof Error ? failure : new Error(String(failure));
    }
  }

  #silent({ method, path }: Ask, outcome: Heard | Error): string {
    const last = outcome instanceof Error ? outcome.message : `status ${outcome.status}`;
    return `The edge at ${this.#url} did not answer ${method} ${path} for minutes (${last}): see whether the platform is well.`;
  }
}

function isNotNow(status: number): boolean {
  return status === 429 || status === 503;
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
