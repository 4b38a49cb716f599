import type { Query } from '#lib/database';
import { wordOf } from '#lib/words';
import {
  Action,
  Outcome,
  OutcomeSchema,
  type Registration,
  RegistrationStatusSchema,
} from '#proto/enrollment/v1/registration';
import type { RegisterRequest } from '#proto/enrollment/v1/service';
import { type Decided, isGranted, needsSaga } from './decide.ts';
import { requestHash } from './registration.ts';

export interface DecidedBatch {
  written: { request: RegisterRequest; registration: Registration }[];
  decided: Decided;
  now: Date;
}

const WRITE = `
  with registered as (
    insert into registrations (id, student_id, status, adds_state, drops_state, request_hash, requested_at, ended_at)
    select r.id, r.student_id, r.status, r.adds_state, r.drops_state, r.request_hash, $7::timestamptz,
      case when r.status = 'pending' then null else $7::timestamptz end
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
      as r (id, student_id, status, adds_state, drops_state, request_hash)
  ), dropped as (
    update enrollments e set status = case when e.status = 'waitlisted' then 'released' else 'dropped' end, waitlist_number = null
    from unnest($8::text[], $9::text[]) as d (student_id, section_id)
    where e.student_id = d.student_id and e.section_id = d.section_id and e.status in ('enrolled', 'waitlisted')
  ), enrolled as (
    insert into enrollments (registration_id, section_id, student_id, status, waitlist_number)
    select * from unnest($10::uuid[], $11::text[], $12::text[], $13::text[], $14::bigint[])
  )
  update sections s set taken = n.taken, waitlisted = n.waitlisted, waitlist_next = n.waitlist_next, version = n.version
  from unnest($15::text[], $16::int[], $17::int[], $18::bigint[], $19::bigint[])
    as n (id, taken, waitlisted, waitlist_next, version)
  where s.id = n.id`;

export async function writeDecided(query: Query, { written, decided, now }: DecidedBatch): Promise<void> {
  const registrations = written.map(({ registration }) => registration);
  const granted = registrations.flatMap((registration) =>
    registration.items.filter(isGranted).map((item) => ({ registration, item })),
  );
  const drops = granted.filter(({ item }) => item.action === Action.DROP);
  const adds = granted.filter(({ item }) => item.action === Action.ADD);
  const sections = [...decided.sections.values()];
  await query(WRITE, [
    registrations.map(({ id }) => id),
    registrations.map(({ studentId }) => studentId),
    registrations.map(({ status }) => wordOf(RegistrationStatusSchema, status)),
    registrations.map(({ items }) => (items.some(({ outcome }) => outcome === Outcome.RESERVED) ? 'reserved' : 'none')),
    registrations.map(({ items }) =>
      items.some((item) => item.action === Action.DROP && needsSaga(item)) ? 'open' : 'none',
    ),
    written.map(({ request }) => requestHash(request)),
    now,
    drops.map(({ registration }) => registration.studentId),
    drops.map(({ item }) => item.sectionId),
    adds.map(({ registration }) => registration.id),
    adds.map(({ item }) => item.sectionId),
    adds.map(({ registration }) => registration.studentId),
    adds.map(({ item }) => wordOf(OutcomeSchema, item.outcome)),
    adds.map(({ registration, item }) => decided.waitlistNumbers.get(`${registration.id}/${item.sectionId}`) ?? null),
    sections.map(({ facts }) => facts.id),
    sections.map(({ taken }) => taken),
    sections.map(({ waitlisted }) => waitlisted),
    sections.map(({ waitlistNext }) => waitlistNext),
    sections.map(({ version }) => version),
  ]);
}
