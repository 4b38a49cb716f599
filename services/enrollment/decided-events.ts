/** What the log tells of decisions. */
import { create } from '@bufbuild/protobuf';
import { type NewEvent, newEvent } from '#lib/event-log';
import { RegistrationDecidedSchema, SeatsCountedSchema } from '#proto/enrollment/v1/events';
import { type Enrollment, EnrollmentSchema, Outcome, type Registration } from '#proto/enrollment/v1/registration';
import { type Decided, isGranted } from './decide.ts';
import type { Ask } from './engine.ts';
import { seatCountOf } from './registration.ts';

/** One event a registration, in the order of their decisions, and one of the seats that are left. Rejects, so that both are waited for. */
export async function eventsOf(
  written: (Ask & { registration: Registration })[],
  decided: Decided,
): Promise<NewEvent[]> {
  const events = written.map(({ actor, traceparent, registration }) =>
    newEvent(
      RegistrationDecidedSchema,
      { subject: registration.id, actor, traceparent },
      { registration, enrollments: otherEnrollments(registration, decided) },
    ),
  );
  if (decided.sections.size === 0) return events;
  const about = { subject: 'seats', actor: 'service:enrollment', traceparent: '' };
  return [...events, newEvent(SeatsCountedSchema, about, { seats: [...decided.sections.values()].map(seatCountOf) })];
}

/** Enrollments that its items do not tell of by themselves: those that wait, and those of earlier registrations that its drops ended. */
function otherEnrollments(
  { id, studentId, items }: Registration,
  { waitlistNumbers, endedPlaces }: Decided,
): Enrollment[] {
  const others = items.filter((item) => isGranted(item) && item.outcome !== Outcome.RESERVED);
  return others.map(({ sectionId, outcome }) => {
    const ended = endedPlaces.get(`${id}/${sectionId}`);
    const waitlistNumber = waitlistNumbers.get(`${id}/${sectionId}`) ?? 0n;
    if (!ended) return create(EnrollmentSchema, { studentId, sectionId, registrationId: id, outcome, waitlistNumber });
    const end = ended.outcome === Outcome.WAITLISTED ? Outcome.RELEASED : Outcome.DROPPED;
    return create(EnrollmentSchema, { studentId, sectionId, registrationId: ended.registrationId, outcome: end });
  });
}
