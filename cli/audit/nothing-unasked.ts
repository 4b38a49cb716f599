import type { Query } from '#lib/database';
import type { Tally } from './finding.ts';
import { type Invariant, inSnapshots } from './platform.ts';

const PAGE_SIZE = 2_000;

const ENROLLMENTS_WERE_ASKED_FOR = `
  select e.registration_id || ' ' || e.section_id as id, case
    when r.id is null then format('it is %s by a registration that does not exist', e.status)
    when r.status = 'refused' then format('it is %s by a registration that was refused', e.status)
    when r.student_id <> e.student_id then format('it is of %s, and %s had asked', e.student_id, r.student_id)
    when granted.id is null then format('it is %s by a registration that was not granted the section', e.status)
    when s.id is null then 'there is no such section'
    end as sentence
  from enrollments e
  left join registrations r on r.id = e.registration_id
  left join (
    select g.id, item ->> 'sectionId' as section_id
    from registration_states g
    cross join lateral jsonb_path_query(
      g.body::jsonb, '$.items[*] ? (@.action == "ACTION_ADD" && @.outcome != "OUTCOME_REFUSED")') item
  ) granted on granted.id = e.registration_id and granted.section_id = e.section_id
  left join sections s on s.id = e.section_id`;

/** What a registration may leave elsewhere, by its id. */
const traces = {
  billing: { table: 'charges', noun: 'a charge' },
  bookstore: { table: 'reservations', noun: 'a reservation of materials' },
  records: { table: 'recordings', noun: 'a recording' },
} as const;

/** I3 */
export const nothingUnasked: Invariant = {
  name: 'I3',
  sentence: 'Nobody has anything without having asked for it, and a refusal leaves nothing',
  // Enrollment last: whoever left a trace was registered before, and a refusal is never taken back.
  look: (audited, tally) =>
    inSnapshots(audited, ['billing', 'bookstore', 'records', 'enrollment'], async (of) => {
      await tally.look(of.enrollment, ENROLLMENTS_WERE_ASKED_FOR);
      for (const service of ['billing', 'bookstore', 'records'] as const) {
        for await (const ids of idPages(of[service], traces[service].table)) {
          await lookAtTraces(of.enrollment, ids, traces[service].noun, tally);
        }
      }
    }),
};

async function* idPages(query: Query, table: string): AsyncGenerator<string[]> {
  let after: string | undefined;
  do {
    const rows = await query<{ id: string }>(
      `select registration_id as id from ${table} where $1::uuid is null or registration_id > $1
       order by registration_id limit ${PAGE_SIZE}`,
      [after],
    );
    yield rows.map(({ id }) => id);
    after = rows.length < PAGE_SIZE ? undefined : rows.at(-1)?.id;
  } while (after !== undefined);
}

async function lookAtTraces(enrollment: Query, ids: string[], noun: string, tally: Tally): Promise<void> {
  const wrong = await enrollment<{ id: string; isUnknown: boolean }>(
    `select t.id, r.id is null as "isUnknown" from unnest($1::uuid[]) as t (id) left join registrations r using (id)
     where r.id is null or r.status = 'refused' order by t.id`,
    [ids],
  );
  tally.count(ids.length);
  for (const { id, isUnknown } of wrong) {
    tally.breach(id, isUnknown ? `there is ${noun}, and no such registration` : `it was refused, and there is ${noun}`);
  }
}
