/** What enrollment's log has told, as SQL: rows to be compared with its tables. Protobuf's JSON leaves out what is zero. */

/** Every count of a section's seats, in the order of the log. */
export const TOLD_SEATS = `
  select e.position, s ->> 'sectionId' as section_id, (s ->> 'version')::bigint as version,
    coalesce((s ->> 'capacity')::int, 0) as capacity, coalesce((s ->> 'taken')::int, 0) as taken,
    coalesce((s ->> 'waitlisted')::int, 0) as waitlisted
  from events e cross join lateral jsonb_path_query(e.data::jsonb, '$.seats[*]') s`;

/** Each enrollment as it was told of last; its status as the tables write it. */
export const LAST_TOLD_ENROLLMENTS = `
  select distinct on (registration_id, section_id) registration_id, section_id, student_id, status
  from (
    select e.position, (f ->> 'registrationId')::uuid as registration_id, f ->> 'sectionId' as section_id,
      f ->> 'studentId' as student_id, lower(substr(f ->> 'outcome', length('OUTCOME_') + 1)) as status
    from events e
    cross join lateral (
      select f from json_array_elements(coalesce(e.data -> 'enrollments', json_build_array(e.data -> 'enrollment'))) f
      union all
      select json_build_object('registrationId', e.data #>> '{registration,id}', 'studentId', e.data #>> '{registration,studentId}',
        'sectionId', item ->> 'sectionId', 'outcome', item ->> 'outcome')
      from json_array_elements(e.data #> '{registration,items}') item
      where e.type like '%.RegistrationDecided' and item ->> 'outcome' = 'OUTCOME_RESERVED'
    ) told (f)
    where f ->> 'sectionId' is not null
  ) told
  order by registration_id, section_id, position desc`;

/** Each registration's status as it was told last. */
export const LAST_TOLD_STATUSES = `
  select distinct on (id) id, status
  from (
    select e.position, (r ->> 'id')::uuid as id, lower(substr(r ->> 'status', length('REGISTRATION_STATUS_') + 1)) as status
    from events e cross join lateral jsonb_path_query(e.data::jsonb, '$.registration') r
  ) told
  order by id, position desc`;
