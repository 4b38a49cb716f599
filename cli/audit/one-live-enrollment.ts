import { type Invariant, inSnapshots } from './platform.ts';
import { LAST_TOLD_ENROLLMENTS } from './told.ts';

const LIVE = "status in ('reserved', 'enrolled', 'waitlisted')";

function oncePerStudentAndSection(enrollments: string, sentence: string): string {
  return `
    select student_id || ' ' || section_id as id,
      case when count(*) > 1 then format('${sentence}: %s', string_agg(registration_id::text, ', ' order by registration_id))
      end as sentence
    from (${enrollments}) e where ${LIVE} group by student_id, section_id`;
}

/** I4 */
export const oneLiveEnrollment: Invariant = {
  name: 'I4',
  sentence: 'A student is in a section, or waits for it, once',
  look: (audited, tally) =>
    inSnapshots(audited, ['enrollment'], async ({ enrollment }) => {
      await tally.look(
        enrollment,
        oncePerStudentAndSection('select * from enrollments', 'there by several registrations'),
      );
      await tally.look(enrollment, oncePerStudentAndSection(LAST_TOLD_ENROLLMENTS, 'told of several registrations'));
    }),
};
