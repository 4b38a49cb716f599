/** Places on waitlists, and the list of what a student has. */
import { create } from '@bufbuild/protobuf';
import type { Query } from '#lib/database';
import { type NewEvent, newEvent } from '#lib/event-log';
import { fromWord } from '#lib/words';
import { WaitlistLeftSchema } from '#proto/enrollment/v1/events';
import { type Enrollment, EnrollmentSchema, Outcome, OutcomeSchema } from '#proto/enrollment/v1/registration';
import { changeSeats } from './seat-count.ts';
import { lockStudents } from './snapshot.ts';

/** Ends a student's wait for a section; nothing where they do not wait. */
export async function leaveWaitlist(
  query: Query,
  { studentId, sectionId, actor }: { studentId: string; sectionId: string; actor: string },
): Promise<NewEvent[]> {
  await lockStudents(query, [studentId]);
  const [left] = await query<{ registration_id: string }>(
    `update enrollments set status = 'released', waitlist_number = null
     where student_id = $1 and section_id = $2 and status = 'waitlisted' returning registration_id`,
    [studentId, sectionId],
  );
  if (!left) return [];
  const [seats] = await changeSeats(query, [{ sectionId, taken: 0, waitlisted: -1 }]);
  const registrationId = left.registration_id;
  const enrollment = create(EnrollmentSchema, { studentId, sectionId, registrationId, outcome: Outcome.RELEASED });
  return [newEvent(WaitlistLeftSchema, { subject: sectionId, actor }, seats ? { enrollment, seats } : { enrollment })];
}

/** Live enrollments of a student, by section; all terms where `termId` is empty. */
export async function liveEnrollments(
  query: Query,
  { studentId, termId }: { studentId: string; termId: string },
): Promise<Enrollment[]> {
  const rows = await query<{
    section_id: string;
    registration_id: string;
    status: string;
    waitlist_number: string | null;
  }>(
    `select e.section_id, e.registration_id, e.status, e.waitlist_number
     from enrollments e join sections s on s.id = e.section_id
     where e.student_id = $1 and e.status in ('reserved', 'enrolled', 'waitlisted') and ($2 = '' or s.term_id = $2)
     order by e.section_id`,
    [studentId, termId],
  );
  return rows.map((row) =>
    create(EnrollmentSchema, {
      studentId,
      sectionId: row.section_id,
      registrationId: row.registration_id,
      outcome: fromWord<Outcome>(OutcomeSchema, row.status),
      waitlistNumber: BigInt(row.waitlist_number ?? 0),
    }),
  );
}
