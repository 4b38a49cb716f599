/** One change of one registration: locked, written, told of, in one transaction. */
import type { HandlerContext } from '@connectrpc/connect';
import { callerOf } from '#lib/caller';
import { appendAll, tellCommitted } from '#lib/change';
import { inTransaction, type Query } from '#lib/database';
import type { NewEvent } from '#lib/event-log';
import type { Parts } from '#lib/service';
import type { Registration } from '#proto/enrollment/v1/registration';
import { type Cause, type Locked, lockRegistration } from './seats.ts';

/** Of a caller who named no deadline. */
const TIMEOUT_MS = 5_000;

export type ChangeRegistration = (
  context: HandlerContext,
  registrationId: string,
  change: (query: Query, locked: Locked, cause: Cause) => Promise<NewEvent[]>,
) => Promise<Registration>;

/** Locks a registration, lets `change` change it, appends the events it answers last, and tells the caller the position. */
export function registrationChanges({ database, head }: Parts): ChangeRegistration {
  return async (context, registrationId, change) => {
    const cause = { actor: callerOf(context).id, now: new Date() };
    const limit = { timeoutMs: timeoutOf(context), byKey: true };
    const written = await inTransaction(database.pool, limit, async (query) => {
      const locked = await lockRegistration(query, registrationId);
      const events = await change(query, locked, cause);
      return { result: locked.registration, position: await appendAll(query, events) };
    });
    return tellCommitted(context, head, written);
  };
}

export function timeoutOf(context: HandlerContext): number {
  return context.timeoutMs() ?? TIMEOUT_MS;
}
