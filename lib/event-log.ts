/**
 * The process's own log of past-tense facts. Positions are gapless and in commit order: the append takes them from the one-row table
 * `event_head`, as the last statement of a transaction, and that row's lock lasts until the commit. A reader needs only
 * `position > $1`.
 */
import { create, type DescMessage, type MessageInitShape, toJsonString } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type Event, EventSchema } from '#proto/eventlog/v1/service';
import type { Query } from './database.ts';
import { traceparent } from './trace.ts';

/** How long a follower may wait for what another instance of the service has committed. */
const POLL_MS = 75;
/** The same while no other instance seems to be there. */
const POLL_ALONE_MS = 500;
const ALONE_AFTER_MS = 10_000;

/** Of an event's JSON. Some hundred times what the largest has; a page and one more of these are half of what a message may have. */
export const EVENT_BYTES_MAX = 4 * 1024 * 1024;

/** A fact about to be appended. */
export interface NewEvent {
  type: string;
  subject: string;
  actor: string;
  traceparent: string;
  json: string;
}

/** Makes an event of a protobuf message, with the active trace. */
export function newEvent<D extends DescMessage>(
  schema: D,
  about: { subject: string; actor: string; traceparent?: string },
  message: MessageInitShape<D>,
): NewEvent {
  return {
    type: schema.typeName,
    subject: about.subject,
    actor: about.actor,
    traceparent: about.traceparent ?? traceparent(),
    json: toJsonString(schema, create(schema, message)),
  };
}

/**
 * Appends events; must be the last statement of its transaction, so that the head is locked for as short as can be. Its commit waits for
 * the disk, whatever was said when it began: others are told of these events.
 * @returns the position of the last one.
 * @throws RangeError for an event of more than {@link EVENT_BYTES_MAX}: whoever follows could never pass it.
 */
export async function append(query: Query, events: NewEvent[]): Promise<bigint> {
  for (const { type, subject, json } of events) {
    if (Buffer.byteLength(json) > EVENT_BYTES_MAX)
      throw new RangeError(`${type} of ${subject} has more than ${EVENT_BYTES_MAX} bytes: nobody could receive it`);
  }
  const [row] = await query<{ last: string }>(
    `with head as (update event_head set position = position + $1 returning position),
     appended as (
       insert into events (position, at, type, subject, actor, traceparent, data)
       select head.position - $1 + e.n, clock_timestamp(), e.type, e.subject, e.actor, e.traceparent, e.data
       from head, rows from (
         unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), json_array_elements($6::json)
       ) with ordinality as e (type, subject, actor, traceparent, data, n)
     )
     select position as last, set_config('synchronous_commit', null, true) from head`,
    [
      events.length,
      events.map((event) => event.type),
      events.map((event) => event.subject),
      events.map((event) => event.actor),
      events.map((event) => event.traceparent),
      // One array of JSON: as an array of texts every quote would be escaped, and that was a tenth of a decision.
      `[${events.map((event) => event.json).join(',')}]`,
    ],
  );
  if (!row) throw new Error('event_head is empty: the database was not migrated');
  return BigInt(row.last);
}

interface Page {
  after: bigint;
  limit: number;
  /** Only events about it; all where it is empty. */
  subject?: string;
  /** Events of other types come without their JSON; none means all with it. */
  types?: readonly string[];
  /** It ends with the event whose JSON reaches this, of all that it has; where it is absent, after `limit` events only. */
  bytesMax?: number;
}

/** Events after a position, oldest first. */
export async function readEvents(query: Query, page: Page): Promise<Event[]> {
  const { after, limit, subject, types = [], bytesMax } = page;
  const rows = await query<Omit<NewEvent, 'json'> & { position: string; at: Date; json: string }>(
    `with listed as (
       select position, at, type, subject, actor, traceparent,
         case when $4::text[] is null or type = any($4) then data::text else '' end as json
       from events where position > $1 and ($3::text is null or subject = $3) order by position limit $2
     ), measured as (
       select *, sum(octet_length(json)) over (order by position) - octet_length(json) as bytes_before from listed
     )
     select position, at, type, subject, actor, traceparent, json from measured
     where $5::bigint is null or bytes_before < $5 order by position`,
    [after, limit, subject || null, types.length > 0 ? types : null, bytesMax ?? null],
  );
  return rows.map((row) =>
    create(EventSchema, { ...row, position: BigInt(row.position), at: timestampFromDate(row.at) }),
  );
}

/** The position of the newest event; 0 for an empty log. */
export async function headPosition(query: Query): Promise<bigint> {
  const [row] = await query<{ position: string }>('select position from event_head');
  return BigInt(row?.position ?? 0);
}

/**
 * Knows where the head is and wakes those who wait for it: at once for what this process commits, within {@link POLL_MS} for what other
 * instances commit, and a little later for the first of those. Polls only while somebody waits.
 */
export class LogHead {
  readonly #query: Query;
  readonly #waiting = new Set<() => void>();
  #position = 0n;
  #timer: NodeJS.Timeout | undefined;
  #heardOthersAtMs = Number.NEGATIVE_INFINITY;

  constructor(query: Query) {
    this.#query = query;
  }

  get position(): bigint {
    return this.#position;
  }

  /** Tells of a commit in this process. */
  advance(position: bigint): void {
    if (position <= this.#position) return;
    this.#position = position;
    for (const wake of this.#waiting) wake();
  }

  /** Tells that the log has lost its end, as a failover may: nobody is woken for what is no longer there. */
  moveBack(position: bigint): void {
    this.#position = position;
  }

  /** Resolves when the head is beyond `position`, after `timeoutMs`, or when the signal aborts. */
  async waitBeyond(position: bigint, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#position > position || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      signal.addEventListener('abort', done, { once: true });
      this.#waiting.add(done);
      this.#poll();
    });
  }

  #poll(): void {
    if (this.#timer || this.#waiting.size === 0) return;
    this.#timer = setTimeout(async () => {
      // A database that is away tells nothing new; those who wait read it themselves and meet the error there.
      await headPosition(this.#query).then(
        (position) => this.#hear(position),
        () => undefined,
      );
      this.#timer = undefined;
      this.#poll();
    }, this.#pollMs());
    this.#timer.unref();
  }

  #pollMs(): number {
    return performance.now() - this.#heardOthersAtMs < ALONE_AFTER_MS ? POLL_MS : POLL_ALONE_MS;
  }

  #hear(position: bigint): void {
    // What this process commits it knows already.
    if (position > this.#position) this.#heardOthersAtMs = performance.now();
    this.advance(position);
  }
}
