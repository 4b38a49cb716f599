/** A student's schedule, as the views know it. */
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Static } from 'typebox';
import { EnrollmentView, LIVE_OUTCOMES } from '#views/enrollment';
import type { AsOf } from '#views/reader';
import { SectionView } from '#views/section';
import type { Schedule } from './schema/me.ts';
import { sectionOf } from './section.ts';

type ScheduleAnswer = Static<typeof Schedule>;

/** In one term, or in all. */
export async function scheduleOf(
  em: EntityManager,
  asOf: AsOf,
  studentId: string,
  term?: string,
): Promise<ScheduleAnswer> {
  const live = await em.find(EnrollmentView, {
    studentId,
    outcome: { $in: [...LIVE_OUTCOMES] },
    ...(term !== undefined && { termId: term }),
  });
  const found = await em.find(
    SectionView,
    { id: { $in: live.map(({ sectionId }) => sectionId) } },
    { orderBy: { sortKey: 'asc' } },
  );
  const bySection = new Map(live.map((enrollment) => [enrollment.sectionId, enrollment]));
  const items = found.flatMap((section) => {
    const enrollment = bySection.get(section.id);
    return enrollment ? [{ ...entryOf(enrollment), section: sectionOf(section, asOf) }] : [];
  });
  return { items, credits: creditsOf(items), asOf: asOf('enrollment')?.toISOString() ?? null };
}

function entryOf({ registrationId, outcome, waitlistPosition }: EnrollmentView) {
  return {
    registrationId,
    outcome: outcome as ScheduleAnswer['items'][number]['outcome'], // the query wants live ones
    ...(waitlistPosition != null && { waitlistPosition }),
  };
}

/** A place on a waitlist costs no credits. */
function creditsOf(items: ScheduleAnswer['items']): number {
  return items
    .filter(({ outcome }) => outcome !== 'waitlisted')
    .reduce((sum, { section }) => sum + section.course.credits, 0);
}
