/** What projections share: they read a batch of one service's events, and write the newest fact of each key. */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { type Timestamp, timestampDate } from '@bufbuild/protobuf/wkt';
import type { ServiceName } from '#lib/config';
import type { Query } from '#lib/database';
import { read } from '#lib/follower';
import type { Event } from '#proto/eventlog/v1/service';

/** Writes rows from the events of one service. Nobody else writes them, so the order across services is free. */
export interface Projection {
  source: ServiceName;
  /** Applies events in their order; however they are cut into batches, the tables end up the same. */
  apply(events: Event[], query: Query): Promise<void>;
}

const parsed = new WeakMap<Event, unknown>();

/** As `read` of the follower, but parses an event once however many projections ask. */
export function factOf<D extends DescMessage>(event: Event, schema: D): MessageShape<D> | undefined {
  if (event.type !== schema.typeName) return undefined;
  const known = parsed.get(event);
  if (known) return known as MessageShape<D>; // stored below for the same type
  const fact = read(event, schema);
  parsed.set(event, fact);
  return fact;
}

export type Row = Record<string, unknown>;

interface Target {
  table: string;
  key: readonly string[];
  /** Rows whose version is smaller than the stored one's are dropped. */
  unlessOlder?: boolean;
  /** Columns that stay as they were first written. */
  keep?: readonly string[];
}

/** Inserts rows, whose keys are column names, and replaces what is stored under their key. */
export async function upsert(query: Query, target: Target, rows: Row[]): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const { table, key, unlessOlder = false, keep = [] } = target;
  const columns = Object.keys(first);
  const changes = columns
    .filter((column) => !key.includes(column) && !keep.includes(column))
    .map((column) => `${column} = excluded.${column}`);
  await query(
    `insert into ${table} (${columns}) select ${columns} from jsonb_populate_recordset(null::${table}, $1::jsonb)
     on conflict (${key}) do update set ${changes} ${unlessOlder ? `where excluded.version >= ${table}.version` : ''}`,
    [recordset(rows)],
  );
}

/** Rows as the JSON that jsonb_populate_recordset wants. */
export function recordset(rows: Row[]): string {
  return JSON.stringify(rows.map(withoutBigInts));
}

function withoutBigInts(row: Row): Row {
  const plain: Row = {};
  for (const column in row) plain[column] = typeof row[column] === 'bigint' ? String(row[column]) : row[column];
  return plain;
}

/** Keeps the newest of what a batch says under a key: the last one, or that of the largest version. */
export function keepNewest<F extends { version: bigint }>(newest: Map<string, F>, key: string, fact: F): void {
  const known = newest.get(key);
  if (!known || fact.version >= known.version) newest.set(key, fact);
}

export function isoOf(timestamp: Timestamp | undefined): string | null {
  return timestamp ? timestampDate(timestamp).toISOString() : null;
}
