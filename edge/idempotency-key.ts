/** The key under which a client may repeat a POST that creates. */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { callerOf } from './auth.ts';
import { headerOf } from './header.ts';

const ID_LENGTH = 20;

export function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  return headerOf(request, 'idempotency-key');
}

/** The id of what the caller creates under this key: the same whenever it is repeated, and nobody else's. */
export function idOfKey(request: FastifyRequest, key: string): string {
  const hash = createHash('sha256').update(JSON.stringify([callerOf(request).id, request.routeOptions.url, key]));
  return hash.digest('hex').slice(0, ID_LENGTH);
}
