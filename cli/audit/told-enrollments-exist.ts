import { type Invariant, inSnapshots } from './platform.ts';
import { LAST_TOLD_ENROLLMENTS } from './told.ts';

/** What any answer or event has granted a student has its row, whatever became of it since. */
const GRANTED_ITEMS_EXIST = `
  select told.registration_id || ' ' || told.section_id as id,
    case when e.registration_id is null then 'it was granted, and there is no such enrollment' end as sentence
  from (
    select distinct (r ->> 'id')::uuid as registration_id, item ->> 'sectionId' as section_id
    from events e
    cross join lateral jsonb_path_query(e.data::jsonb, '$.registration') r
    cross join lateral jsonb_path_query(r, '$.items[*] ? (@.action == "ACTION_ADD" && @.outcome != "OUTCOME_REFUSED")') item
  ) told
  left join enrollments e using (registration_id, section_id)`;

const lastToldIsTrue = `
  select told.registration_id || ' ' || told.section_id as id, case
    when e.registration_id is null then format('the log tells that it is %s, and there is no such enrollment', told.status)
    when e.status <> told.status then format('the log tells that it is %s, and it is %s', told.status, e.status)
    end as sentence
  from (${LAST_TOLD_ENROLLMENTS}) told
  left join enrollments e using (registration_id, section_id)`;

/** What a registration shows when it is read again. */
const SHOWN_IS_TRUE = `
  select shown.id || ' ' || shown.section_id as id, case
    when e.registration_id is null then format('the registration shows it %s, and there is no such enrollment', shown.outcome)
    when not e.status = any (case shown.outcome
        when 'enrolled' then array['enrolled', 'dropped']
        when 'waitlisted' then array['waitlisted', 'released']
        else array[shown.outcome] end)
      then format('the registration shows it %s, and it is %s', shown.outcome, e.status)
    end as sentence
  from (
    select r.id, item ->> 'sectionId' as section_id, lower(substr(item ->> 'outcome', length('OUTCOME_') + 1)) as outcome
    from registration_states r
    cross join lateral jsonb_path_query(
      r.body::jsonb, '$.items[*] ? (@.action == "ACTION_ADD" && @.outcome != "OUTCOME_REFUSED")') item
  ) shown
  left join enrollments e on e.registration_id = shown.id and e.section_id = shown.section_id`;

/** I2 */
export const toldEnrollmentsExist: Invariant = {
  name: 'I2',
  sentence: 'What a student was told is reserved or enrolled exists',
  look: (audited, tally) =>
    inSnapshots(audited, ['enrollment'], async ({ enrollment }) => {
      await tally.look(enrollment, GRANTED_ITEMS_EXIST);
      await tally.look(enrollment, lastToldIsTrue);
      await tally.look(enrollment, SHOWN_IS_TRUE);
    }),
};
