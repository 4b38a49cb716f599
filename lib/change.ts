/**
 * A change of a service's own database: its rows and the events that tell of them commit together, the caller's deadline reaches the
 * database, and the answer carries the consistency token. Through entities, or by hand where a call is asked so often that it pays.
 */
import type { DescMessage, MessageInitShape } from '@bufbuild/protobuf';
import type { HandlerContext } from '@connectrpc/connect';
import type { EntityManager } from '@mikro-orm/postgresql';
import { callerOf } from './caller.ts';
import { type Database, inTransaction, limitStatements, type Query, queryIn } from './database.ts';
import { append, headPosition, type LogHead, type NewEvent, newEvent } from './event-log.ts';

/** Of a change whose caller named no deadline. */
const TIMEOUT_MS = 10_000;

interface Emitting {
  /** Appends a past-tense event when the transaction commits. */
  emit<D extends DescMessage>(schema: D, subject: string, message: MessageInitShape<D>): void;
}

export interface Change extends Emitting {
  em: EntityManager;
}

export interface ChangeInSql extends Emitting {
  /** Every row is looked up by a key: see {@link inTransaction}. */
  query: Query;
}

export interface Changes {
  change<T>(context: HandlerContext, body: (change: Change) => Promise<T>): Promise<T>;
  changeInSql<T>(context: HandlerContext, body: (change: ChangeInSql) => Promise<T>): Promise<T>;
}

/** What a transaction answered, and the log's position as of it. */
export interface Written<T> {
  result: T;
  position: bigint;
}

/** The two ways to change a database. @param head is told of what commits. */
export function changesOf(database: Database, head: LogHead): Changes {
  return {
    async change(context, body) {
      const { events, emit } = eventsOf(context);
      const written = await database.orm.em.fork().transactional(async (em) => {
        const query = queryIn(em);
        await query(limitStatements(timeoutOf(context)));
        const result = await body({ em, emit });
        await em.flush();
        return { result, position: await appendAll(query, events) };
      });
      return tellCommitted(context, head, written);
    },

    async changeInSql(context, body) {
      const { events, emit } = eventsOf(context);
      const limits = { timeoutMs: timeoutOf(context), byKey: true };
      const written = await inTransaction(database.pool, limits, async (query) => {
        const result = await body({ query, emit });
        return { result, position: await appendAll(query, events) };
      });
      return tellCommitted(context, head, written);
    },
  };
}

/** Puts the consistency token on an answer: a later read that has reached it shows this change. */
export function tellPosition(context: HandlerContext, position: bigint): void {
  const service = context.service.typeName.split('.')[1];
  context.responseHeader.set('consistency-token', `${service}:${position}`);
}

/** Milliseconds that the caller still waits. */
export function timeoutOf(context: HandlerContext): number {
  return context.timeoutMs() ?? TIMEOUT_MS;
}

function eventsOf(context: HandlerContext): { events: NewEvent[] } & Emitting {
  const events: NewEvent[] = [];
  const actor = callerOf(context).id;
  return {
    events,
    emit: (schema, subject, message) => {
      events.push(newEvent(schema, { subject, actor }, message));
    },
  };
}

/** Appends events, last in a transaction. Where it told nothing it may have read what another instance wrote: it is as new as the log. */
export function appendAll(query: Query, events: NewEvent[]): Promise<bigint> {
  return events.length > 0 ? append(query, events) : headPosition(query);
}

/** Tells of what has committed: waiting followers, and the caller by the answer's consistency token. */
export function tellCommitted<T>(context: HandlerContext, head: LogHead, { result, position }: Written<T>): T {
  head.advance(position);
  tellPosition(context, position);
  return result;
}
