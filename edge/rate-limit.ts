/** How often one account or address may ask. Counted in this process: each instance of the edge lends its own share. */
import { isIPv6 } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Config } from '#lib/config';
import { Problem } from './problem.ts';

const WINDOW_MS = 60_000;
const KEYS_MAX = 50_000;
const LOG_INS_PER_EMAIL_MAX = 10;

/** Limits every route, by account where a valid token says which, else by address. */
export async function limitRates(app: FastifyInstance, config: Config): Promise<void> {
  await app.register(rateLimit, {
    timeWindow: WINDOW_MS,
    cache: KEYS_MAX,
    keyGenerator: keyOf,
    max: (request) => (request.identity?.caller ? config.ratePerAccountPerMinute : config.ratePerAddressPerMinute),
    errorResponseBuilder: (_request, { ttl }) => tooMany(Math.ceil(ttl / 1000)),
  });
}

function keyOf(request: FastifyRequest): string {
  const caller = request.identity?.caller;
  return caller ? `account ${caller.id}` : `address ${networkOf(request.ip)}`;
}

/** One customer has a whole IPv6 /64 to choose addresses from. */
function networkOf(ip: string): string {
  if (!isIPv6(ip)) return ip;
  if (ip.includes('.')) return ip.slice(ip.lastIndexOf(':') + 1);
  const [head = [], tail = []] = ip.split('::').map((half) => half.split(':').filter(Boolean));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}

function tooMany(retryAfterSeconds: number): Problem {
  return new Problem(429, 'too-many-requests', 'That was too often.', {
    remedy: `Wait ${retryAfterSeconds} s.`,
    retryAfterSeconds,
  });
}

/** Guessing a password is slow, wherever the guesses come from. @throws Problem 429 */
export function logInLimit(
  app: FastifyInstance,
): (request: FastifyRequest<{ Body: { email: string } }>) => Promise<void> {
  const limit = app.createRateLimit({
    max: LOG_INS_PER_EMAIL_MAX,
    timeWindow: WINDOW_MS,
    keyGenerator: (request) => `log in ${(request.body as { email: string }).email.trim().toLowerCase()}`, // validated
  });
  return async (request) => {
    const counted = await limit(request);
    if (!counted.isAllowed && counted.isExceeded) throw tooMany(counted.ttlInSeconds);
  };
}
