/** The calls of catalog. A Put tells of what differs and of nothing else, so repeating it changes nothing. */
import type { ServiceImpl } from '@connectrpc/connect';
import type { EntityManager } from '@mikro-orm/postgresql';
import { requireRole } from '#lib/caller';
import type { Change } from '#lib/change';
import { Refusal } from '#lib/refusal';
import type { Parts } from '#lib/service';
import {
  CourseSchema,
  type Section as SectionMessage,
  SectionSchema,
  SectionStatus,
  TermSchema,
} from '#proto/catalog/v1/catalog';
import { CoursePublishedSchema, SectionPublishedSchema, TermPublishedSchema } from '#proto/catalog/v1/events';
import type { CatalogService } from '#proto/catalog/v1/service';
import { check } from './check.ts';
import { Course, checkCourse, courseColumns } from './course.ts';
import { byId, differenceOf, idsOf } from './difference.ts';
import { checkExpected, requireExpected, versionOf, versionsOf } from './expected.ts';
import { checkSection, Section, sectionColumns } from './section.ts';
import { checkTerm, Term, termColumns } from './term.ts';

const BATCH_MAX = 500;
const WRITER_LOCK = 7_265_010;

export function catalogService({ change, read }: Parts): ServiceImpl<typeof CatalogService> {
  return {
    async putTerms({ terms, dryRun, expectedVersions }, context) {
      requireRole(context, 'staff', 'system');
      checkBatch(terms, checkTerm);
      checkExpected(expectedVersions, terms);
      return change(context, async ({ em, emit }) => {
        await takeTurn(em);
        const stored = byId(await em.find(Term, { id: { $in: idsOf(terms) } }));
        const { created, changed, counts } = differenceOf(TermSchema, terms, stored);
        requireExpected([...created, ...changed], stored, expectedVersions);
        if (dryRun) return { counts };
        for (const term of created) em.create(Term, { ...termColumns(term), version: 1 });
        for (const term of changed) revise(stored.get(term.id), termColumns(term));
        for (const term of [...created, ...changed]) {
          emit(TermPublishedSchema, term.id, { term, version: versionOf(stored.get(term.id)) });
        }
        return { counts, versions: versionsOf(terms, stored) };
      });
    },

    async putCourses({ courses, dryRun, expectedVersions }, context) {
      requireRole(context, 'staff', 'system');
      checkBatch(courses, checkCourse);
      checkExpected(expectedVersions, courses);
      return change(context, async ({ em, emit }) => {
        await takeTurn(em);
        const stored = byId(await em.find(Course, { id: { $in: idsOf(courses) } }));
        const { created, changed, counts } = differenceOf(CourseSchema, courses, stored);
        requireExpected([...created, ...changed], stored, expectedVersions);
        if (dryRun) return { counts };
        for (const course of created) em.create(Course, { ...courseColumns(course), version: 1 });
        for (const course of changed) revise(stored.get(course.id), courseColumns(course));
        for (const course of [...created, ...changed]) {
          emit(CoursePublishedSchema, course.id, { course, version: versionOf(stored.get(course.id)) });
        }
        await tellSectionsOf(idsOf(changed), stored, { em, emit });
        return { counts, versions: versionsOf(courses, stored) };
      });
    },

    async putSections({ sections, dryRun, expectedVersions }, context) {
      requireRole(context, 'staff', 'system');
      checkBatch(sections, checkSection);
      checkExpected(expectedVersions, sections);
      return change(context, async ({ em, emit }) => {
        await takeTurn(em);
        const stored = byId(await em.find(Section, { id: { $in: idsOf(sections) } }));
        const { created, changed, counts } = differenceOf(SectionSchema, sections, stored);
        requireExpected([...created, ...changed], stored, expectedVersions);
        for (const section of changed) requireStillOpen(section, stored.get(section.id));
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
        return { counts, versions: versionsOf(sections, stored) };
      });
    },

    async getTerm({ termId }, context) {
      const term = await read(context, (em) => em.findOneOrFail(Term, termId));
      return { term: term.toMessage(), version: versionOf(term) };
    },

    async getCourse({ courseId }, context) {
      const course = await read(context, (em) => em.findOneOrFail(Course, courseId));
      return { course: course.toMessage(), version: versionOf(course) };
    },

    async getSection({ sectionId }, context) {
      return read(context, async (em) => {
        const section = await em.findOneOrFail(Section, sectionId);
        const course = await em.findOneOrFail(Course, section.courseId);
        return { section: section.toMessage(), course: course.toMessage(), version: versionOf(section) };
      });
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

/** Its students were told that it does not take place. @throws Refusal `section-cancelled` */
function requireStillOpen({ id, status }: SectionMessage, known: Section | undefined): void {
  if (known?.status !== 'cancelled' || status === SectionStatus.CANCELLED) return;
  throw new Refusal('section-cancelled', `Section ${id} was cancelled.`, 'Make a new section with another number.');
}
