/** What there is to take. Public, and read from views only, so it answers whatever else is away. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import { minuteOf } from '#lib/time-of-day';
import { CourseView, findCourses } from '#views/course';
import { findSections, SectionView } from '#views/section';
import { TermView } from '#views/term';
import { DAYS_PATTERN, daysOf } from '../days.ts';
import { decodeCursor, isText, pageFrom } from '../page.ts';
import type { EdgeParts } from '../parts.ts';
import { notFound } from '../problem.ts';
import { readViews } from '../read-views.ts';
import { answers, closed, Id, line, PAGE_DEFAULT, pageQuery, readHeaders, ref, TimeOfDay } from '../schema/elements.ts';
import { Course, CoursePage, Section, SectionPage, Term, TermPage } from '../schema/section.ts';
import { sectionOf } from '../section.ts';

const SEARCH_LENGTH_MAX = 100;
const CREDITS_MAX = 40;

const tags = ['catalog'];
const config = { access: 'public' } as const;
const params = closed({ id: Id });
const headers = readHeaders;
const Search = line({ maxLength: SEARCH_LENGTH_MAX, description: 'words, or beginnings of words' });
const Subject = line({ minLength: 1, maxLength: SEARCH_LENGTH_MAX });

const sectionQuery = closed({
  ...pageQuery,
  term: Type.Optional(Id),
  q: Type.Optional(Search),
  subject: Type.Optional(Subject),
  open: Type.Optional(Type.Boolean({ description: 'true: only open sections with seats left' })),
  days: Type.Optional(
    Type.String({ pattern: DAYS_PATTERN, maxLength: 20, description: 'meets on these days only: MWF, TuTh, TR, …' }),
  ),
  from: Type.Optional(TimeOfDay),
  to: Type.Optional(TimeOfDay),
  credits: Type.Optional(Type.Integer({ minimum: 0, maximum: CREDITS_MAX })),
});

export const catalogRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { views }) => {
  app.get(
    '/v1/terms',
    {
      config,
      schema: {
        tags,
        operationId: 'listTerms',
        summary: 'Terms, by id',
        headers,
        querystring: closed(pageQuery),
        response: answers({ 200: ref(TermPage) }),
      },
    },
    async (request) => {
      const { limit = PAGE_DEFAULT, cursor } = request.query;
      const [after = ''] = decodeCursor(cursor, [isText]) ?? [];
      const rows = await readViews(request, views, (em) =>
        em.find(TermView, { id: { $gt: after } }, { orderBy: { id: 'asc' }, limit: limit + 1 }),
      );
      return pageFrom(rows, limit, { item: termOf, key: ({ id }) => [id] });
    },
  );

  app.get(
    '/v1/terms/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'getTerm',
        summary: 'One term',
        headers,
        params,
        response: answers({ 200: ref(Term) }, 404),
      },
    },
    async (request) => {
      const term = await readViews(request, views, (em) => em.findOne(TermView, request.params.id));
      if (!term) throw notFound('such term');
      return termOf(term);
    },
  );

  app.get(
    '/v1/courses',
    {
      config,
      schema: {
        tags,
        operationId: 'listCourses',
        summary: 'Courses, by code',
        headers,
        querystring: closed({ ...pageQuery, q: Type.Optional(Search), subject: Type.Optional(Subject) }),
        response: answers({ 200: ref(CoursePage) }),
      },
    },
    async (request) => {
      const { limit = PAGE_DEFAULT, cursor, q, subject } = request.query;
      const [after] = decodeCursor(cursor, [isText]) ?? [];
      const rows = await readViews(request, views, (em) =>
        findCourses(em, { q, subject }, { limit: limit + 1, after }),
      );
      return pageFrom(rows, limit, { item: courseOf, key: ({ sortKey }) => [sortKey] });
    },
  );

  app.get(
    '/v1/courses/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'getCourse',
        summary: 'One course',
        headers,
        params,
        response: answers({ 200: ref(Course) }, 404),
      },
    },
    async (request) => {
      const course = await readViews(request, views, (em) => em.findOne(CourseView, request.params.id));
      if (!course) throw notFound('such course');
      return courseOf(course);
    },
  );

  app.get(
    '/v1/sections',
    {
      config,
      schema: {
        tags,
        operationId: 'listSections',
        summary: 'Sections with their seats, by course and code',
        headers,
        querystring: sectionQuery,
        response: answers({ 200: ref(SectionPage) }),
      },
    },
    async (request) => {
      const { limit = PAGE_DEFAULT, cursor } = request.query;
      const [after] = decodeCursor(cursor, [isText]) ?? [];
      return readViews(request, views, async (em, asOf) => {
        const rows = await findSections(em, filterOf(request.query), { limit: limit + 1, after });
        return pageFrom(rows, limit, { item: (row) => sectionOf(row, asOf), key: ({ sortKey }) => [sortKey] });
      });
    },
  );

  app.get(
    '/v1/sections/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'getSection',
        summary: 'One section',
        headers,
        params,
        response: answers({ 200: ref(Section) }, 404),
      },
    },
    (request) =>
      readViews(request, views, async (em, asOf) => {
        const section = await em.findOne(SectionView, request.params.id);
        if (!section) throw notFound('such section');
        return sectionOf(section, asOf);
      }),
  );
};

function filterOf({ term, q, subject, open, days, from, to, credits }: Static<typeof sectionQuery>) {
  return {
    termId: term,
    q,
    subject,
    open,
    days: days === undefined ? undefined : daysOf(days),
    fromMinute: from === undefined ? undefined : minuteOf(from),
    toMinute: to === undefined ? undefined : minuteOf(to),
    credits,
  };
}

function termOf({ id, name, timeZone, startsOn, endsOn, creditsMax }: TermView): Static<typeof Term> {
  return { id, name, timeZone, startsOn, endsOn, creditsMax };
}

function courseOf({ id, subject, code, title, description, credits }: CourseView): Static<typeof Course> {
  return { id, subject, code, title, description, credits };
}
