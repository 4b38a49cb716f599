/** Reads what the rules look at. With locks, nothing of it changes until the transaction ends. */
import type { Query } from '#lib/database';
import { fromWord } from '#lib/words';
import { type SectionStatus, SectionStatusSchema } from '#proto/catalog/v1/catalog';
import { Outcome } from '#proto/enrollment/v1/registration';
import type { RegisterRequest } from '#proto/enrollment/v1/service';
import type { Snapshot } from './decide.ts';
import type { FactsCache } from './facts.ts';
import { termOf } from './registration.ts';
import type { Place } from './rules.ts';
import type { Section, SectionFacts } from './section.ts';

interface SectionRow {
  id: string;
  status: string;
  capacity: number;
  over_limit: number;
  taken: number;
  waitlist_capacity: number;
  waitlisted: number;
  waitlist_next: string;
  version: string;
  facts_version: string;
  credits_max: number | null;
}

interface PlaceRow {
  student_id: string;
  section_id: string;
  registration_id: string;
  status: string;
  facts_version: string;
}

/** A section whose term the catalog has not told of yet has no limit. */
const CREDITS_UNLIMITED = 1_000;

/**
 * Locks the students' rows, in id order. Students come before sections in every transaction of this service, and the log's head comes
 * last: so no two of them wait for each other in a circle.
 */
export async function lockStudents(query: Query, studentIds: readonly string[]): Promise<void> {
  const ids = [...new Set(studentIds)].sort();
  const locked = await query<{ id: string }>(
    'select id from students where id = any($1) order by id for no key update',
    [ids],
  );
  if (locked.length === ids.length) return;
  const known = new Set(locked.map(({ id }) => id));
  // A student whom identity's log has not brought yet: the token has proven that they exist.
  await query('insert into students (id) select unnest($1::text[]) on conflict do nothing', [
    ids.filter((id) => !known.has(id)),
  ]);
  await query('select id from students where id = any($1) order by id for no key update', [ids]);
}

/** The snapshot for these requests. Students must be locked before it is read with `lock`. */
export async function readSnapshot(
  query: Query,
  cache: FactsCache,
  requests: readonly RegisterRequest[],
  { lock }: { lock: boolean },
): Promise<Snapshot> {
  const sectionIds = sectionsOf(requests);
  // No rule looks beyond a section's own term, and students have years behind them: by its id, what is past is not even joined.
  const placeRows = await query<PlaceRow>(
    `select e.student_id, e.section_id, e.registration_id, e.status, s.facts_version
     from enrollments e join sections s on s.id = e.section_id
     where e.student_id = any($1) and e.status in ('reserved', 'enrolled', 'waitlisted')
       and split_part(e.section_id, '-', 1) = any($2)`,
    [[...new Set(requests.map(({ studentId }) => studentId))], [...new Set(sectionIds.flatMap(termOf))]],
  );
  const sectionRows = await readSections(query, sectionIds, lock);
  const facts = await cache.of(query, [
    ...sectionRows.map(({ id, facts_version: version }) => ({ id, version })),
    ...placeRows.map(({ section_id: id, facts_version: version }) => ({ id, version })),
  ]);
  return { sections: sectionsById(sectionRows, facts), places: placesByStudent(placeRows, facts) };
}

function sectionsOf(requests: readonly RegisterRequest[]): string[] {
  const ids = new Set<string>();
  for (const { adds, drops } of requests) {
    for (const { sectionId } of adds) ids.add(sectionId);
    for (const sectionId of drops) ids.add(sectionId);
  }
  return [...ids].sort();
}

function readSections(query: Query, ids: string[], lock: boolean): Promise<SectionRow[]> {
  return query<SectionRow>(
    `select s.id, s.status, s.capacity, s.over_limit, s.taken, s.waitlist_capacity, s.waitlisted, s.waitlist_next, s.version,
       s.facts_version, t.credits_max
     from sections s left join terms t on t.id = s.term_id
     where s.id = any($1) order by s.id ${lock ? 'for no key update of s' : ''}`,
    [ids],
  );
}

function sectionsById(rows: SectionRow[], facts: Map<string, SectionFacts>): Map<string, Section> {
  const sections = new Map<string, Section>();
  for (const row of rows) {
    const own = facts.get(row.id);
    if (own) sections.set(row.id, sectionOf(row, own));
  }
  return sections;
}

function sectionOf(row: SectionRow, facts: SectionFacts): Section {
  return {
    facts,
    status: fromWord<SectionStatus>(SectionStatusSchema, row.status),
    termCreditsMax: row.credits_max ?? CREDITS_UNLIMITED,
    capacity: row.capacity,
    overLimit: row.over_limit,
    taken: row.taken,
    waitlistCapacity: row.waitlist_capacity,
    waitlisted: row.waitlisted,
    waitlistNext: BigInt(row.waitlist_next),
    version: BigInt(row.version),
  };
}

function placesByStudent(rows: PlaceRow[], facts: Map<string, SectionFacts>): Map<string, Map<string, Place>> {
  const places = new Map<string, Map<string, Place>>();
  for (const row of rows) {
    const own = facts.get(row.section_id);
    if (!own) continue;
    const ofStudent = places.get(row.student_id) ?? new Map<string, Place>();
    places.set(row.student_id, ofStudent);
    ofStudent.set(row.section_id, {
      facts: own,
      outcome: liveOutcome(row.status),
      registrationId: row.registration_id,
    });
  }
  return places;
}

const liveOutcomes: Record<string, Place['outcome']> = {
  reserved: Outcome.RESERVED,
  enrolled: Outcome.ENROLLED,
  waitlisted: Outcome.WAITLISTED,
};

function liveOutcome(word: string): Place['outcome'] {
  const outcome = liveOutcomes[word];
  if (!outcome) throw new RangeError(`${word} is not a live enrollment`);
  return outcome;
}
