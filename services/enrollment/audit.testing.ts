/** For tests: what must hold of enrollment's tables at any moment, and that its log tells the same. */
import { fromJsonString } from '@bufbuild/protobuf';
import type { Query } from '#lib/database';
import { readEvents } from '#lib/event-log';
import { read } from '#lib/follower';
import { wordOf } from '#lib/words';
import {
  RegistrationCompletedSchema,
  RegistrationDecidedSchema,
  RegistrationProgressedSchema,
  RegistrationUndoneSchema,
  SeatsCountedSchema,
  SectionSeatsChangedSchema,
  WaitlistLeftSchema,
} from '#proto/enrollment/v1/events';
import {
  type Enrollment,
  Outcome,
  OutcomeSchema,
  type Registration,
  RegistrationSchema,
  type SeatCount,
} from '#proto/enrollment/v1/registration';
import type { Event } from '#proto/eventlog/v1/service';
import { enrollmentsOf, registrationText } from './registration.ts';
import { type SeatRow, seatCountOfRow } from './seat-count.ts';

const EVENTS_MAX = 100_000;

/** Each answers the ids of what breaks it. */
const INVARIANTS: Record<string, string> = {
  'a section counts other seats than are taken': `
    select id from sections s where taken <>
      (select count(*) from enrollments e where e.section_id = s.id and e.status in ('reserved', 'enrolled'))`,
  'a section counts others than those who wait': `
    select id from sections s where waitlisted <>
      (select count(*) from enrollments e where e.section_id = s.id and e.status = 'waitlisted')`,
  'a section is oversold': 'select id from sections where taken > capacity + over_limit',
  'a place on a waitlist has no number, or another enrollment has one': `
    select section_id as id from enrollments where (status = 'waitlisted') <> (waitlist_number is not null)`,
  'a registration is pending with nothing to come, or ended with something open': `
    select id from registrations where (status = 'pending') <> (adds_state = 'reserved' or drops_state = 'open')
      or (status = 'pending') <> (ended_at is null)`,
  'a reserved seat has no open registration': `
    select e.section_id as id from enrollments e join registrations r on r.id = e.registration_id
    where e.status = 'reserved' and r.adds_state <> 'reserved'`,
  'an enrollment has no registration': `
    select section_id as id from enrollments where registration_id not in (select id from registrations)`,
  'the log has a gap': `
    select position as id from event_head
    where position <> (select count(*) from events) or position <> (select coalesce(max(position), 0) from events)`,
};

/** Sentences about what is wrong; nothing in the good case. */
export async function faultsOf(query: Query): Promise<string[]> {
  const faults: string[] = [];
  for (const [sentence, sql] of Object.entries(INVARIANTS)) {
    for (const { id } of await query<{ id: string }>(sql)) faults.push(`${sentence}: ${id}`);
  }
  const replayed = replay(await readEvents(query, { after: 0n, limit: EVENTS_MAX }));
  return [...faults, ...differences(replayed, await tables(query))];
}

/** Facts by key, as text. */
type Facts = Map<string, string>;

function replay(events: Event[]): Facts {
  const facts: Facts = new Map();
  const versions = new Map<string, bigint>();
  for (const event of events) {
    const { registration, enrollments, seats } = toldBy(event);
    if (registration) facts.set(`registration ${registration.id}`, registrationText(registration));
    for (const one of enrollments) facts.set(`enrollment ${one.registrationId} ${one.sectionId}`, enrollmentText(one));
    for (const one of seats) {
      if ((versions.get(one.sectionId) ?? 0n) > one.version) continue;
      versions.set(one.sectionId, one.version);
      facts.set(`seats ${one.sectionId}`, seatsText(one));
    }
  }
  return facts;
}

function toldBy(event: Event): { registration?: Registration; enrollments: Enrollment[]; seats: SeatCount[] } {
  const left = read(event, WaitlistLeftSchema);
  const changed = left ?? read(event, SectionSeatsChangedSchema);
  if (changed) {
    return { enrollments: left?.enrollment ? [left.enrollment] : [], seats: changed.seats ? [changed.seats] : [] };
  }
  const decided = read(event, RegistrationDecidedSchema);
  const withSeats = read(event, RegistrationProgressedSchema) ?? read(event, RegistrationUndoneSchema);
  const told = decided ?? withSeats ?? read(event, RegistrationCompletedSchema);
  const { registration, enrollments = [] } = told ?? {};
  const reserved = decided?.registration ? enrollmentsOf(decided.registration, Outcome.RESERVED) : [];
  return {
    ...(registration && { registration }),
    enrollments: [...reserved, ...enrollments],
    seats: (withSeats ?? read(event, SeatsCountedSchema))?.seats ?? [],
  };
}

async function tables(query: Query): Promise<Facts> {
  const facts: Facts = new Map();
  for (const { id, body } of await query<{ id: string; body: string }>(
    'select id, body::text from registration_states',
  ))
    facts.set(`registration ${id}`, registrationText(fromJsonString(RegistrationSchema, body)));
  const enrollments = await query<{
    registration_id: string;
    section_id: string;
    student_id: string;
    status: string;
    number: string;
  }>('select *, coalesce(waitlist_number, 0) as number from enrollments');
  for (const { registration_id: id, section_id: sectionId, student_id: studentId, status, number } of enrollments)
    facts.set(`enrollment ${id} ${sectionId}`, `${studentId} ${status} ${number}`);
  for (const row of await query<SeatRow>('select * from sections'))
    facts.set(`seats ${row.id}`, seatsText(seatCountOfRow(row)));
  return facts;
}

function enrollmentText({ studentId, outcome, waitlistNumber }: Enrollment): string {
  return `${studentId} ${wordOf(OutcomeSchema, outcome)} ${waitlistNumber}`;
}

function seatsText({ capacity, taken, waitlisted, version }: SeatCount): string {
  return `${taken} of ${capacity}, ${waitlisted} wait, version ${version}`;
}

function differences(log: Facts, rows: Facts): string[] {
  return [...new Set([...log.keys(), ...rows.keys()])]
    .filter((key) => log.get(key) !== rows.get(key))
    .map((key) => `the log and the tables differ in ${key}: ${log.get(key)} against ${rows.get(key)}`);
}
