/** Courses, as catalog published them, on their own or with their sections. */
import { defineEntity, type EntityManager, p, raw } from '@mikro-orm/postgresql';
import type { Course } from '#proto/catalog/v1/catalog';
import { CoursePublishedSchema, SectionPublishedSchema } from '#proto/catalog/v1/events';
import type { Event } from '#proto/eventlog/v1/service';
import { factOf, type Projection, upsert } from './projection.ts';
import { searchQuery, searchVector, sortKey } from './words.ts';

const CourseViewEntity = defineEntity({
  name: 'CourseView',
  tableName: 'courses',
  properties: {
    id: p.string().primary(),
    subject: p.string(),
    code: p.string(),
    title: p.string(),
    description: p.string(),
    credits: p.integer(),
    /** Orders a list, and is the cursor in it. */
    sortKey: p.string(),
  },
});
export class CourseView extends CourseViewEntity.class {}
CourseViewEntity.setClass(CourseView);

/** A page of courses in the order of their codes. `after` is the `sortKey` of the last one seen. */
export function findCourses(
  em: EntityManager,
  filter: { q?: string | undefined; subject?: string | undefined },
  page: { limit: number; after?: string | undefined },
): Promise<CourseView[]> {
  const words = filter.q === undefined ? undefined : searchQuery(filter.q);
  return em.find(
    CourseView,
    {
      ...(filter.subject !== undefined && { subject: filter.subject }),
      ...(page.after !== undefined && { sortKey: { $gt: page.after } }),
      ...(words !== undefined && { [raw((alias) => `${alias}.search @@ ?::tsquery`, [words])]: [] }),
    },
    { orderBy: { sortKey: 'asc' }, limit: page.limit },
  );
}

export const courses: Projection = {
  source: 'catalog',
  async apply(events, query) {
    const rows = [...newestCourses(events).values()].map(({ id, subject, code, title, description, credits }) => ({
      id,
      subject,
      code,
      title,
      description,
      credits,
      sort_key: sortKey(code, id),
      search: searchVector({ prose: [title], codes: [code, id] }),
    }));
    await upsert(query, { table: 'courses', key: ['id'] }, rows);
  },
};

/** The last word on each course that a batch has. */
export function newestCourses(events: Event[]): Map<string, Course> {
  const newest = new Map<string, Course>();
  for (const event of events) {
    const course = (factOf(event, CoursePublishedSchema) ?? factOf(event, SectionPublishedSchema))?.course;
    if (course) newest.set(course.id, course);
  }
  return newest;
}
