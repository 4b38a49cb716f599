/** Clients of other services: one channel a service, with deadlines, retries, tokens and traces. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescService } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt';
import { type Client, Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect';
import { addressVariable, ConfigError, type PeerName } from './config.ts';
import { createGrpcTransport, type GrpcTransport } from './grpc-transport.ts';
import { traceparent } from './trace.ts';

const TIMEOUT_MS = 5_000;
const ATTEMPTS_MAX = 5;
const BACKOFF_FIRST_MS = 40;

export class Clients {
  readonly #addresses: Record<PeerName, string[]>;
  readonly #interceptors: Interceptor[];
  readonly #timeoutMs: number;
  readonly #transports = new Map<PeerName, GrpcTransport>();

  /** @param token answers the token of calls that carry none. @param timeoutMs of calls without a deadline; default {@link TIMEOUT_MS}. */
  constructor(addresses: Record<PeerName, string[]>, token: () => Promise<string>, timeoutMs = TIMEOUT_MS) {
    this.#addresses = addresses;
    this.#timeoutMs = timeoutMs;
    this.#interceptors = [retried(), tokened(token), traced()];
  }

  /** A client of `service` as the peer mounts it. */
  of<S extends DescService>(service: S, peer: PeerName): Client<S> {
    return createClient(service, this.#transport(peer));
  }

  close(): void {
    for (const transport of this.#transports.values()) transport.close();
  }

  #transport(peer: PeerName): GrpcTransport {
    const known = this.#transports.get(peer);
    if (known) return known;
    const addresses = this.#addresses[peer];
    if (addresses.length === 0)
      throw new ConfigError(`${addressVariable(peer)} is not set, and ${peer} is needed here`);
    const transport = createGrpcTransport(addresses, {
      interceptors: this.#interceptors,
      defaultTimeoutMs: this.#timeoutMs,
    });
    this.#transports.set(peer, transport);
    return transport;
  }
}

function tokened(token: () => Promise<string>): Interceptor {
  return (next) => async (request) => {
    if (!request.header.has('authorization')) request.header.set('authorization', `Bearer ${await token()}`);
    return next(request);
  };
}

function traced(): Interceptor {
  return (next) => (request) => {
    const parent = traceparent();
    if (parent && !request.header.has('traceparent')) request.header.set('traceparent', parent);
    return next(request);
  };
}

/**
 * Tries again what an unavailable server did not answer: only methods whose proto says they are idempotent, within the caller's deadline.
 * grpc-js itself never does, because a Connect server always sends headers first.
 */
function retried(): Interceptor {
  return (next) => async (request) => {
    const isSafe = !request.stream && request.method.idempotency !== Idempotency.IDEMPOTENCY_UNKNOWN;
    for (let attempt = 1; ; attempt++) {
      try {
        return await next(request);
      } catch (error) {
        const isUnavailable = ConnectError.from(error).code === Code.Unavailable;
        if (!isSafe || !isUnavailable || attempt >= ATTEMPTS_MAX || request.signal.aborted) throw error;
        await backoff(attempt, request.signal);
      }
    }
  };
}

/** Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
async function backoff(attempt: number, signal: AbortSignal): Promise<void> {
  const delayMs = Math.random() * BACKOFF_FIRST_MS * 2 ** attempt;
  await sleep(delayMs, undefined, { signal }).catch(() => {
    throw ConnectError.from(signal.reason, Code.Canceled);
  });
}
