/** Sections with course and seats: what students search. Seats are enrollment's word, everything else is catalog's. */
import { defineEntity, type EntityManager, p, raw } from '@mikro-orm/postgresql';
import { minuteOf } from '#lib/time-of-day';
import { wordOf } from '#lib/words';
import { type Day, DaySchema, type Meeting, type Section, SectionStatusSchema } from '#proto/catalog/v1/catalog';
import { type SectionPublished, SectionPublishedSchema } from '#proto/catalog/v1/events';
import { newestCourses } from './course.ts';
import { factOf, keepNewest, type Projection, type Row, upsert } from './projection.ts';
import { searchQuery, searchVector, sortKey } from './words.ts';

/** `days` are words ("monday"), `date` an ISO date, times local "HH:MM"; empty where the meeting has none. */
export interface MeetingView {
  kind: string;
  days: string[];
  date: string;
  startsAt: string;
  endsAt: string;
  room: string;
}

const SectionViewEntity = defineEntity({
  name: 'SectionView',
  tableName: 'section_view',
  properties: {
    id: p.string().primary(),
    termId: p.string(),
    courseId: p.string(),
    courseCode: p.string(),
    courseTitle: p.string(),
    subject: p.string(),
    credits: p.integer(),
    /** Of the section within its course. */
    code: p.string(),
    instructors: p.array(),
    meetings: p.json<MeetingView[]>(),
    materials: p.json<{ materialId: string; quantity: number }[]>(),
    /** In minor units. */
    fee: p.bigint('number'),
    /** Empty where there is no fee. */
    currency: p.string(),
    status: p.enum(['unspecified', 'open', 'closed', 'cancelled'] as const),
    waitlistCapacity: p.integer(),
    /** Days of the weekly meetings: bit 1 is Monday, bit 7 Sunday; 0 where none is arranged. */
    days: p.integer(),
    /** Earliest begin and latest end of the weekly meetings, in minutes of the day. */
    startsMinute: p.integer().nullable(),
    endsMinute: p.integer().nullable(),
    /** Seats that may be given; fewer than are taken, where the catalog lowered it. */
    capacity: p.integer(),
    /** These are null until enrollment told them. */
    taken: p.integer().nullable(),
    waitlisted: p.integer().nullable(),
    /** For who comes now: none while others wait. */
    seatsLeft: p.integer().nullable(),
    seatsVersion: p.bigint().nullable(),
    /** When the seats last changed. */
    countsAt: p.datetime().nullable(),
    /** Orders a list by course and section, and is the cursor in it. */
    sortKey: p.string(),
  },
});
export class SectionView extends SectionViewEntity.class {}
SectionViewEntity.setClass(SectionView);

/** Sections with seats, within days and hours, of a term; every part that is absent lets all through. */
export interface SectionFilter {
  termId?: string | undefined;
  /** Words of code, title, instructor or id; each may be a beginning. */
  q?: string | undefined;
  subject?: string | undefined;
  /** True: open, with seats known to be left. */
  open?: boolean | undefined;
  /** Every weekly meeting is on one of these days. */
  days?: readonly Day[] | undefined;
  /** Every weekly meeting begins at or after this minute of the day, and ends at or before that one. */
  fromMinute?: number | undefined;
  toMinute?: number | undefined;
  credits?: number | undefined;
}

/** A page of sections by course and section code. `after` is the `sortKey` of the last one seen. */
export function findSections(
  em: EntityManager,
  filter: SectionFilter,
  page: { limit: number; after?: string | undefined },
): Promise<SectionView[]> {
  const words = filter.q === undefined ? undefined : searchQuery(filter.q);
  return em.find(
    SectionView,
    {
      ...(filter.termId !== undefined && { termId: filter.termId }),
      ...(filter.subject !== undefined && { subject: filter.subject }),
      ...(filter.credits !== undefined && { credits: filter.credits }),
      ...(page.after !== undefined && { sortKey: { $gt: page.after } }),
      ...(words !== undefined && { [raw((alias) => `${alias}.search @@ ?::tsquery`, [words])]: [] }),
      ...(filter.open && { [raw((alias) => `${alias}.status = 'open' and ${alias}.seats_left > 0`)]: [] }),
      ...(filter.days && { days: { $in: masksWithin(filter.days) } }),
      ...(filter.fromMinute !== undefined && { startsMinute: { $gte: filter.fromMinute } }),
      ...(filter.toMinute !== undefined && { endsMinute: { $lte: filter.toMinute } }),
    },
    { orderBy: { sortKey: 'asc' }, limit: page.limit },
  );
}

/** What sections repeat of their courses, whose own projection comes before this one. */
const REPEAT_COURSES = `
  update sections
  set course_code = told.code, course_title = told.title, subject = told.subject, credits = told.credits,
    sort_key = told.sort_key, search = told.search
  from (
    select s.id, c.code, c.title, c.subject, c.credits,
      c.sort_key || ' ' || s.own_sort_key as sort_key, s.own_search || c.search as search
    from courses c join sections s on s.course_id = c.id where c.id = any($1)
  ) as told
  where told.id = sections.id
    and (course_code, course_title, sections.subject, sections.credits, sections.sort_key, sections.search)
      is distinct from (told.code, told.title, told.subject, told.credits, told.sort_key, told.search)`;

export const sections: Projection = {
  source: 'catalog',
  async apply(events, query) {
    const newest = new Map<string, SectionPublished>();
    for (const event of events) {
      const fact = factOf(event, SectionPublishedSchema);
      if (fact?.section) keepNewest(newest, fact.section.id, fact);
    }
    const rows = [...newest.values()].flatMap(({ section, version }) => (section ? [rowOf(section, version)] : []));
    await upsert(query, { table: 'sections', key: ['id'], unlessOlder: true }, rows);
    const courseIds = [...newestCourses(events).keys()];
    if (courseIds.length === 0) return;
    await query(REPEAT_COURSES, [courseIds]);
  },
};

function rowOf(section: Section, version: bigint): Row {
  return {
    id: section.id,
    term_id: section.termId,
    course_id: section.courseId,
    code: section.code,
    instructors: section.instructors,
    meetings: section.meetings.map(meetingOf),
    materials: section.materials.map(({ materialId, quantity }) => ({ materialId, quantity })),
    fee: section.fee?.amount ?? 0n,
    currency: section.fee?.currency ?? '',
    status: wordOf(SectionStatusSchema, section.status),
    published_capacity: section.capacity,
    waitlist_capacity: section.waitlistCapacity,
    ...hoursOf(section.meetings),
    own_sort_key: sortKey(section.code, section.id),
    own_search: searchVector({ prose: section.instructors, codes: [section.code], ids: [section.id] }),
    version,
  };
}

function meetingOf({ kind, days, date, startsAt, endsAt, room }: Meeting): MeetingView {
  return { kind, days: days.map((day) => wordOf(DaySchema, day)), date, startsAt, endsAt, room };
}

/** When the weekly meetings are; dated ones, for example finals, do not shape a week. */
function hoursOf(meetings: readonly Meeting[]): {
  days: number;
  starts_minute: number | null;
  ends_minute: number | null;
} {
  const weekly = meetings.filter((meeting) => meeting.days.length > 0);
  const timed = weekly.filter((meeting) => meeting.startsAt !== '' && meeting.endsAt !== '');
  return {
    days: maskOf(weekly.flatMap((meeting) => meeting.days)),
    starts_minute: timed.length > 0 ? Math.min(...timed.map((meeting) => minuteOf(meeting.startsAt))) : null,
    ends_minute: timed.length > 0 ? Math.max(...timed.map((meeting) => minuteOf(meeting.endsAt))) : null,
  };
}

/** Every week within these days: the planner knows how common each one is, and nothing about a bit operation. */
function masksWithin(days: readonly Day[]): number[] {
  const all = maskOf(days);
  return Array.from({ length: all }, (_, index) => index + 1).filter((mask) => (mask & ~all) === 0);
}

function maskOf(days: readonly Day[]): number {
  return days.reduce<number>((mask, day) => mask | (1 << day), 0);
}
