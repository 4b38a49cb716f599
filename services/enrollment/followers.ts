/** What enrollment learns from others' logs: its own copy of what the rules need, so that a decision calls no other service. */
import { toJson } from '@bufbuild/protobuf';
import type { Query } from '#lib/database';
import { append, newEvent } from '#lib/event-log';
import { Follower, read } from '#lib/follower';
import type { Parts } from '#lib/service';
import { wordOf } from '#lib/words';
import { SectionSchema, SectionStatusSchema } from '#proto/catalog/v1/catalog';
import { type SectionPublished, SectionPublishedSchema, TermPublishedSchema } from '#proto/catalog/v1/events';
import { SectionSeatsChangedSchema } from '#proto/enrollment/v1/events';
import { type Event, EventLogService } from '#proto/eventlog/v1/service';
import { AccountChangedSchema, AccountRegisteredSchema, RoleGrantedSchema } from '#proto/identity/v1/events';
import { courseFacts, type StoredFacts } from './facts.ts';
import { type SeatRow, seatCountOfRow } from './seat-count.ts';

export function followers({ clients, database, logger }: Parts): Follower[] {
  const follow = (source: 'catalog' | 'identity', apply: (events: Event[], query: Query) => Promise<void>) =>
    new Follower({ source, log: clients.of(EventLogService, source), pool: database.pool, logger, apply });
  return [follow('catalog', applyCatalog), follow('identity', applyIdentity)];
}

export async function applyCatalog(events: Event[], query: Query): Promise<void> {
  for (const event of events) {
    const published = read(event, TermPublishedSchema);
    if (published?.term) await putTerm(query, published.term.id, published.term.creditsMax, published.version);
  }
  const sections = new Map<string, SectionPublished>();
  for (const event of events) {
    const published = read(event, SectionPublishedSchema);
    if (published?.section) sections.set(published.section.id, published);
  }
  if (sections.size > 0) await putSections(query, [...sections.values()]);
}

async function putTerm(query: Query, id: string, creditsMax: number, version: bigint): Promise<void> {
  await query(
    `insert into terms (id, credits_max, version) values ($1, $2, $3)
     on conflict (id) do update set credits_max = excluded.credits_max, version = excluded.version
     where terms.version < excluded.version`,
    [id, creditsMax, version],
  );
}

/** A capacity lowered below what is taken stays at what is taken: nobody loses a seat to a change of the catalog. */
async function putSections(query: Query, published: SectionPublished[]): Promise<void> {
  const rows = published.flatMap(({ section, course, version }) => {
    if (!section || !course) return [];
    const facts: StoredFacts = { section: toJson(SectionSchema, section), course: courseFacts(course) };
    return [{ section, version, facts }];
  });
  const changed = await query<SeatRow>(
    `with told as (
       select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], $6::jsonb[], $7::bigint[])
         as t (id, term_id, status, capacity, waitlist_capacity, facts, version)
     ), changed as (
       insert into sections (id, term_id, status, capacity, waitlist_capacity, facts_version)
       select id, term_id, status, capacity, waitlist_capacity, version from told order by id
       on conflict (id) do update set term_id = excluded.term_id, status = excluded.status,
         capacity = greatest(excluded.capacity, sections.taken - sections.over_limit),
         waitlist_capacity = excluded.waitlist_capacity, facts_version = excluded.facts_version, version = sections.version + 1
       where sections.facts_version < excluded.facts_version
       returning id, capacity, over_limit, taken, waitlisted, version
     ), kept as (
       insert into section_facts (id, facts, version)
       select id, facts, version from told where id in (select id from changed)
       on conflict (id) do update set facts = excluded.facts, version = excluded.version
     )
     select * from changed`,
    [
      rows.map(({ section }) => section.id),
      rows.map(({ section }) => section.termId),
      rows.map(({ section }) => wordOf(SectionStatusSchema, section.status)),
      rows.map(({ section }) => section.capacity),
      rows.map(({ section }) => section.waitlistCapacity),
      rows.map(({ facts }) => JSON.stringify(facts)),
      rows.map(({ version }) => version),
    ],
  );
  if (changed.length === 0) return;
  const events = changed.map((row) =>
    newEvent(
      SectionSeatsChangedSchema,
      { subject: row.id, actor: 'service:enrollment' },
      { seats: seatCountOfRow(row) },
    ),
  );
  await append(query, events);
}

export async function applyIdentity(events: Event[], query: Query): Promise<void> {
  const students = events.flatMap((event) => {
    const told =
      read(event, AccountRegisteredSchema) ?? read(event, AccountChangedSchema) ?? read(event, RoleGrantedSchema);
    return told?.account?.roles.includes('student') ? [told.account.id] : [];
  });
  if (students.length === 0) return;
  await query('insert into students (id) select unnest($1::text[]) order by 1 on conflict do nothing', [students]);
}
