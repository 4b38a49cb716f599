/** The calls of catalog. A Put tells of what differs and of nothing else, so repeating it changes nothing. */
import type { ServiceImpl } from '@connectrpc/connect';
import type { EntityManager } from '@mikro-orm/postgresql';
import { requireRole } from '#lib/caller';
import type { Change } from '#lib/change';
import { Refusal } from '#lib/refusal';
import type { Parts } from '#lib/service';
import { CourseSchema, type Section as SectionMessage, SectionSchema, TermSchema } from '#proto/catalog/v1/catalog';
import { CoursePublishedSchema, SectionPublishedSchema, TermPublishedSchema } from '#proto/catalog/v1/events';
import type { CatalogService } from '#proto/catalog/v1/service';
import { check } from './check.ts';
import { Course, checkCourse, courseColumns } from './course.ts';
import { byId, differenceOf, idsOf } from './difference.ts';
import { checkSection, Section, sectionColumns } from './section.ts';
import { checkTerm, Term, termColumns } from './term.ts';

const BATCH_MAX = 500;
const WRITER_LOCK = 7_265_010;

export function catalogService({ change, database }: Parts): ServiceImpl<typeof CatalogService> {
  return {
    async putTerms({ terms, dryRun }, context) {
      requireRole(context, 'staff', 'system');
      checkBatch(terms, checkTerm);
      return change(context, async ({ em, emit }) => {
        await takeTurn(em);
        const stored = byId(await em.find(Term, { id: { $in: idsOf(terms) } }));
        const { created, changed, counts } = differenceOf(TermSchema, terms, stored);
        if (dryRun) return { counts };
        for (const term of created) em.create(Term, { ...termColumns(term), version: 1 });
        for (const term of changed) revise(stored.get(term.id), termColumns(term));
        for (const term of [...created, ...changed]) {
          emit(TermPublishedSchema, term.id, { term, version: versionOf(stored.get(term.id)) });
        }
        return { counts };
      });
    },

    async putCourses({ courses, dryRun }, context) {
      requireRole(context, 'staff', 'system');
      checkBatch(courses, checkCourse);
      return change(context, async ({ em, emit }) => {
        await takeTurn(em);
        const stored = byId(await em.find(Course, { id: { $in: idsOf(courses) } }));
        const { created, changed, counts } = differenceOf(CourseSchema, courses, stored);
        if (dryRun) return { counts };
        for (const course of created) em.create(Course, { ...courseColumns(course), version: 1 });
        for (const course of changed) revise(stored.get(course.id), courseColumns(course));
        for (const course of [...created, ...changed]) {
          emit(CoursePublishedSchema, course.id, { course, version: versionOf(stored.get(course.id)) });
        }
        await tellSectionsOf(idsOf(changed), stored, { em, emit });
        return { counts };
      });
    },

    async putSections({ sections, dryRun }, context) {
      requireRole(context, 'staff', 'system');
      checkBatch(sections, checkSection);
      return change(context, async ({ em, emit }) => {
        await takeTurn(em);
        const stored = byId(await em.find(Section, { id: { $in: idsOf(sections) } }));
        const { created, changed, counts } = differenceOf(SectionSchema, sections, stored);
        if (dryRun) return { counts };
        const courses = await coursesOf(em, sections);
        await requireTerms(em, sections);
        for (const section of created) em.create(Section, { ...sectionColumns(section), version: 1 });
        for (const section of changed) revise(stored.get(section.id), sectionColumns(section));
        for (const section of [...created, ...changed]) {
          const course = courses.get(section.courseId)?.toMessage();
          const version = versionOf(stored.get(section.id));
          emit(SectionPublishedSchema, section.id, { section, version, ...(course && { course }) });
        }
        return { counts };
      });
    },

    async getTerm({ termId }) {
      return { term: (await database.orm.em.fork().findOneOrFail(Term, termId)).toMessage() };
    },

    async getCourse({ courseId }) {
      return { course: (await database.orm.em.fork().findOneOrFail(Course, courseId)).toMessage() };
    },

    async getSection({ sectionId }) {
      const em = database.orm.em.fork();
      const section = await em.findOneOrFail(Section, sectionId);
      const course = await em.findOneOrFail(Course, section.courseId);
      return { section: section.toMessage(), course: course.toMessage() };
    },
  };
}

function checkBatch<M extends { id: string }>(messages: readonly M[], checkOne: (message: M) => void): void {
  check(messages.length <= BATCH_MAX, `more than ${BATCH_MAX} at a time`);
  for (const message of messages) checkOne(message);
  check(new Set(idsOf(messages)).size === messages.length, 'an id is named twice');
}

/** Writers are few and their batches large: taking turns is simpler than ordering their row locks, and no slower. */
async function takeTurn(em: EntityManager): Promise<void> {
  await em.execute('select pg_advisory_xact_lock(?)', [WRITER_LOCK]);
}

function revise<E extends { version: number }>(known: E | undefined, columns: Partial<E>): void {
  if (known) Object.assign(known, columns, { version: known.version + 1 });
}

function versionOf(known: { version: number } | undefined): bigint {
  return BigInt(known?.version ?? 1);
}

/** A section's event carries its course, so a course that changes is told again with each of its sections. */
async function tellSectionsOf(
  courseIds: string[],
  courses: ReadonlyMap<string, Course>,
  { em, emit }: Change,
): Promise<void> {
  const sections = await em.find(Section, { courseId: { $in: courseIds } }, { orderBy: { id: 'asc' } });
  for (const section of sections) {
    section.version += 1;
    const course = courses.get(section.courseId)?.toMessage();
    const version = BigInt(section.version);
    emit(SectionPublishedSchema, section.id, { section: section.toMessage(), version, ...(course && { course }) });
  }
}

/** @throws Refusal `unknown-course` */
async function coursesOf(em: EntityManager, sections: readonly SectionMessage[]): Promise<Map<string, Course>> {
  const courses = byId(await em.find(Course, { id: { $in: sections.map((section) => section.courseId) } }));
  const lost = sections.find((section) => !courses.has(section.courseId));
  if (!lost) return courses;
  throw new Refusal('unknown-course', `Section ${lost.id} names course ${lost.courseId}, which does not exist.`);
}

/** @throws Refusal `unknown-term` */
async function requireTerms(em: EntityManager, sections: readonly SectionMessage[]): Promise<void> {
  const terms = byId(await em.find(Term, { id: { $in: sections.map((section) => section.termId) } }));
  const lost = sections.find((section) => !terms.has(section.termId));
  if (lost) throw new Refusal('unknown-term', `Section ${lost.id} names term ${lost.termId}, which does not exist.`);
}
