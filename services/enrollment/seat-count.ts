/** Gives seats and places on waitlists back, outside the engine's batches. */
import { create } from '@bufbuild/protobuf';
import type { Query } from '#lib/database';
import { type SeatCount, SeatCountSchema } from '#proto/enrollment/v1/registration';

/** How the counters of one section change. */
export interface SeatChange {
  sectionId: string;
  taken: number;
  waitlisted: number;
}

export interface SeatRow {
  id: string;
  capacity: number;
  over_limit: number;
  taken: number;
  waitlisted: number;
  version: string;
}

/** Locks the sections in id order, as every transaction here does, changes them, and answers their seats afterwards. */
export async function changeSeats(query: Query, changes: readonly SeatChange[]): Promise<SeatCount[]> {
  if (changes.length === 0) return [];
  const ids = changes.map(({ sectionId }) => sectionId);
  await query('select from sections where id = any($1) order by id for no key update', [ids]);
  const rows = await query<SeatRow>(
    `update sections s set taken = s.taken + c.taken, waitlisted = s.waitlisted + c.waitlisted, version = s.version + 1
     from unnest($1::text[], $2::int[], $3::int[]) as c (id, taken, waitlisted)
     where s.id = c.id
     returning s.id, s.capacity, s.over_limit, s.taken, s.waitlisted, s.version`,
    [ids, changes.map(({ taken }) => taken), changes.map(({ waitlisted }) => waitlisted)],
  );
  return rows.map(seatCountOfRow);
}

export function seatCountOfRow(row: SeatRow): SeatCount {
  return create(SeatCountSchema, {
    sectionId: row.id,
    capacity: row.capacity + row.over_limit,
    taken: row.taken,
    waitlisted: row.waitlisted,
    version: BigInt(row.version),
  });
}
