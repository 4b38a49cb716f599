/** How the edge calls a service: as the caller, within a deadline, and with a failure that names who did not answer. */
import type { CallOptions } from '@connectrpc/connect';
import type { FastifyReply } from 'fastify';
import type { PeerName } from '#lib/config';
import { tokenOf } from './auth.ts';
import { DependencyFailure } from './problem.ts';

export const COMMAND_TIMEOUT_MS = 5_000;
export const READ_TIMEOUT_MS = 2_000;

/**
 * Calls `peer` with the caller's own token. The answer's consistency token becomes the reply's.
 *
 * @example const { account } = await ask(reply, 'identity', (options) => identity.getAccount({ accountId }, options));
 */
export async function ask<T>(
  reply: FastifyReply,
  peer: PeerName,
  call: (options: CallOptions) => Promise<T>,
  timeoutMs = COMMAND_TIMEOUT_MS,
): Promise<T> {
  const token = tokenOf(reply.request);
  try {
    return await call({
      timeoutMs,
      ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
      onHeader: (headers) => {
        const position = headers.get('consistency-token');
        if (position) reply.header('consistency-token', position);
      },
    });
  } catch (error) {
    throw new DependencyFailure(peer, error);
  }
}

/** A field of an answer that protobuf makes optional, but the service always sends. */
export function present<T>(peer: PeerName, value: T | undefined): T {
  if (value === undefined) throw new Error(`${peer} answered without a field that it promises`);
  return value;
}
