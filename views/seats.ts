/** Seats of sections, as enrollment counts them: narrow rows, since they change all the time. SectionView shows them. */

import {
  RegistrationProgressedSchema,
  RegistrationUndoneSchema,
  SeatsCountedSchema,
  SectionSeatsChangedSchema,
  WaitlistLeftSchema,
} from '#proto/enrollment/v1/events';
import type { SeatCount } from '#proto/enrollment/v1/registration';
import type { Event } from '#proto/eventlog/v1/service';
import { factOf, isoOf, keepNewest, type Projection, upsert } from './projection.ts';

export const seats: Projection = {
  source: 'enrollment',
  async apply(events, query) {
    const newest = new Map<string, SeatCount & { event: Event }>();
    for (const event of events) {
      for (const count of countsIn(event)) keepNewest(newest, count.sectionId, { ...count, event });
    }
    const rows = [...newest.values()].map(({ sectionId, capacity, taken, waitlisted, version, event }) => ({
      section_id: sectionId,
      capacity,
      taken,
      waitlisted,
      version,
      counted_at: isoOf(event.at),
    }));
    await upsert(query, { table: 'section_seats', key: ['section_id'], unlessOlder: true }, rows);
  },
};

function countsIn(event: Event): SeatCount[] {
  const changed = factOf(event, SectionSeatsChangedSchema) ?? factOf(event, WaitlistLeftSchema);
  if (changed) return changed.seats ? [changed.seats] : [];
  const counted =
    factOf(event, SeatsCountedSchema) ??
    factOf(event, RegistrationProgressedSchema) ??
    factOf(event, RegistrationUndoneSchema);
  return counted?.seats ?? [];
}
