/** Students in sections: a student's schedule and a section's waitlist. */
import { defineEntity, p } from '@mikro-orm/postgresql';
import { wordOf } from '#lib/words';
import {
  RegistrationCompletedSchema,
  RegistrationDecidedSchema,
  RegistrationProgressedSchema,
  RegistrationUndoneSchema,
  WaitlistLeftSchema,
} from '#proto/enrollment/v1/events';
import { type Enrollment, Outcome, OutcomeSchema, type Registration } from '#proto/enrollment/v1/registration';
import type { Event } from '#proto/eventlog/v1/service';
import { factOf, type Projection, type Row, recordset } from './projection.ts';

/** Outcomes of enrollments that take up a place in a schedule. */
export const LIVE_OUTCOMES = ['reserved', 'enrolled', 'waitlisted'] as const;

const EnrollmentViewEntity = defineEntity({
  name: 'EnrollmentView',
  tableName: 'enrollment_view',
  properties: {
    studentId: p.string().primary(),
    sectionId: p.string().primary(),
    registrationId: p.uuid().primary(),
    termId: p.string(),
    outcome: p.enum([...LIVE_OUTCOMES, 'refused', 'released', 'dropped'] as const),
    /** Order among those who wait, with gaps; 0 unless waitlisted. */
    waitlistNumber: p.bigint(),
    /** Rank among those who wait now, 1 is next; null unless waitlisted. */
    waitlistPosition: p.integer().nullable(),
  },
});
export class EnrollmentView extends EnrollmentViewEntity.class {}
EnrollmentViewEntity.setClass(EnrollmentView);

export const enrollments: Projection = {
  source: 'enrollment',
  async apply(events, query) {
    const newest = new Map<string, Row>();
    for (const row of events.flatMap(rowsIn)) {
      const key = `${row.registration_id} ${row.section_id}`;
      // Where an event does not name the term, an earlier one did.
      newest.set(key, { ...row, term_id: row.term_id || (newest.get(key)?.term_id ?? '') });
    }
    if (newest.size === 0) return;
    await query(
      `insert into enrollments (registration_id, section_id, student_id, term_id, outcome, waitlist_number)
       select registration_id, section_id, student_id, term_id, outcome, waitlist_number
       from jsonb_populate_recordset(null::enrollments, $1::jsonb)
       on conflict (student_id, section_id, registration_id) do update set
         outcome = excluded.outcome, waitlist_number = excluded.waitlist_number,
         term_id = coalesce(nullif(excluded.term_id, ''), enrollments.term_id)`,
      [recordset([...newest.values()])],
    );
  },
};

type Place = Omit<Enrollment, '$typeName'>;

function rowsIn(event: Event): Row[] {
  const left = factOf(event, WaitlistLeftSchema)?.enrollment;
  if (left) return [rowOf(left, '')];
  const decided = factOf(event, RegistrationDecidedSchema);
  const fact =
    decided ??
    factOf(event, RegistrationProgressedSchema) ??
    factOf(event, RegistrationCompletedSchema) ??
    factOf(event, RegistrationUndoneSchema);
  if (!fact) return [];
  const terms = new Map(fact.registration?.items.map((item) => [item.sectionId, item.termId]));
  const enrollments = [...reservedIn(decided?.registration), ...fact.enrollments];
  return enrollments.map((enrollment) => rowOf(enrollment, terms.get(enrollment.sectionId) ?? ''));
}

/** The enrollments that the items of a decision are. */
function reservedIn(registration: Registration | undefined): Place[] {
  if (!registration) return [];
  const { id: registrationId, studentId, items } = registration;
  return items
    .filter(({ outcome }) => outcome === Outcome.RESERVED)
    .map(({ sectionId, outcome }) => ({ studentId, sectionId, registrationId, outcome, waitlistNumber: 0n }));
}

function rowOf({ registrationId, sectionId, studentId, outcome, waitlistNumber }: Place, termId: string): Row {
  return {
    registration_id: registrationId,
    section_id: sectionId,
    student_id: studentId,
    term_id: termId,
    outcome: wordOf(OutcomeSchema, outcome),
    waitlist_number: waitlistNumber,
  };
}
