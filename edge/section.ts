/** Sections as clients see them. */
import type { Static } from 'typebox';
import type { AsOf } from '#views/reader';
import type { MeetingView, SectionView } from '#views/section';
import { CURRENCY_DEFAULT } from './money.ts';
import type { Section } from './schema/section.ts';

type SectionAnswer = Static<typeof Section>;

export function sectionOf(view: SectionView, asOf: AsOf): SectionAnswer {
  const { capacity, taken = null, waitlisted = null, seatsLeft = null, status } = view;
  const countedAt = taken === null ? undefined : (asOf('enrollment') ?? view.countsAt ?? undefined);
  return {
    id: view.id,
    term: view.termId,
    course: { id: view.courseId, code: view.courseCode, title: view.courseTitle, credits: view.credits },
    code: view.code,
    instructors: view.instructors,
    meetings: view.meetings.map(meetingOf),
    capacity,
    seatsTaken: taken,
    seatsLeft,
    waitlisted,
    waitlistCapacity: view.waitlistCapacity,
    fee: { amount: view.fee, currency: view.currency || CURRENCY_DEFAULT },
    status: status === 'unspecified' ? 'closed' : status,
    asOf: countedAt?.toISOString() ?? null,
  };
}

export function meetingOf({
  kind,
  days,
  date,
  startsAt,
  endsAt,
  room,
}: MeetingView): SectionAnswer['meetings'][number] {
  return {
    kind,
    days: days as SectionAnswer['meetings'][number]['days'], // words of the proto's enum
    ...(date !== '' && { date }),
    startsAt: startsAt || null,
    endsAt: endsAt || null,
    room,
  };
}
