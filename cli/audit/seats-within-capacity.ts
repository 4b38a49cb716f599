import { type Invariant, inSnapshots } from './platform.ts';
import { TOLD_SEATS } from './told.ts';

const COUNTERS_ARE_RIGHT = `
  select s.id, case
    when live.seats > s.capacity + s.over_limit
      then format('%s live seats of %s', live.seats, s.capacity + s.over_limit)
    when s.taken > s.capacity + s.over_limit or s.taken < 0
      then format('%s seats of %s are taken', s.taken, s.capacity + s.over_limit)
    when s.taken <> live.seats then format('it counts %s seats as taken, and %s are live', s.taken, live.seats)
    when s.waitlisted <> live.waiting then format('it counts %s who wait, and %s do', s.waitlisted, live.waiting)
    end as sentence
  from sections s
  left join (
    select section_id, count(*) filter (where status in ('reserved', 'enrolled')) as seats,
      count(*) filter (where status = 'waitlisted') as waiting
    from enrollments group by section_id
  ) known on known.section_id = s.id
  cross join lateral (select coalesce(known.seats, 0) as seats, coalesce(known.waiting, 0) as waiting) live`;

/** The log tells the counts after every commit. */
const neverOversold = `
  select section_id || ' at position ' || position as id, case
    when taken > capacity or taken < 0 or waitlisted < 0
      then format('%s seats of %s were taken, and %s waited', taken, capacity, waitlisted)
    when version < lag(version) over w
      then format('version %s was told after version %s', version, lag(version) over w)
    when version = lag(version) over w
      and (capacity, taken, waitlisted) <> (lag(capacity) over w, lag(taken) over w, lag(waitlisted) over w)
      then format('version %s was told with other counts before', version)
    end as sentence
  from (${TOLD_SEATS}) told
  window w as (partition by section_id order by position)`;

const lastToldIsTrue = `
  select coalesce(s.id, told.section_id) as id, case
    when s.id is null then 'the log tells of it, and there is no such section'
    when told.section_id is null then 'the log has never told its seats'
    when (s.capacity + s.over_limit, s.taken, s.waitlisted, s.version)
      <> (told.capacity, told.taken, told.waitlisted, told.version)
      then format('version %s has %s of %s seats taken and %s who wait; the log last told version %s: %s of %s, and %s',
        s.version, s.taken, s.capacity + s.over_limit, s.waitlisted,
        told.version, told.taken, told.capacity, told.waitlisted)
    end as sentence
  from sections s
  full join (
    select distinct on (section_id) * from (${TOLD_SEATS}) every order by section_id, position desc
  ) told on told.section_id = s.id`;

/** I1 */
export const seatsWithinCapacity: Invariant = {
  name: 'I1',
  sentence: 'No section ever had more seats taken than it has, and every counter is right',
  look: (audited, tally) =>
    inSnapshots(audited, ['enrollment'], async ({ enrollment }) => {
      await tally.look(enrollment, COUNTERS_ARE_RIGHT);
      await tally.look(enrollment, neverOversold);
      await tally.look(enrollment, lastToldIsTrue);
    }),
};
