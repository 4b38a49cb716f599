/** Terms and courses, as staff make and change them. Whole schedules are imported: `registrar import schedule`. */
import { create } from '@bufbuild/protobuf';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { CourseSchema, TermSchema } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { changeHeld, createHeld, kindsOf } from '../catalog-change.ts';
import type { EdgeParts } from '../parts.ts';
import { CourseChange, NewCourse, NewTerm, TermChange } from '../schema/catalog-change.ts';
import { answers, changeHeaders, closed, Id, ref } from '../schema/elements.ts';
import { Course, Term } from '../schema/section.ts';

const tags = ['catalog'];
const config = { access: ['staff'] } as const;
const params = closed({ id: Id });
const headers = changeHeaders;

export const catalogChangeRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { clients }) => {
  const { terms, courses } = kindsOf(clients.of(CatalogService, 'catalog'));

  app.post(
    '/v1/terms',
    {
      config,
      schema: {
        tags,
        operationId: 'createTerm',
        summary: 'Add a term; repeating it adds nothing',
        body: ref(NewTerm),
        response: answers({ 201: ref(Term) }, 401, 403, 422),
      },
    },
    async ({ body }, reply) => {
      const term = await createHeld(reply, terms, create(TermSchema, body));
      return reply
        .code(201)
        .header('location', `/v1/terms/${encodeURIComponent(term.id)}`)
        .send(term);
    },
  );

  app.patch(
    '/v1/terms/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'changeTerm',
        summary: 'Change what is given',
        ...{ params, headers },
        body: ref(TermChange),
        response: answers({ 200: ref(Term) }, 401, 403, 404, 412),
      },
    },
    ({ params: { id }, headers, body }, reply) =>
      changeHeld(reply, terms, { id, ifMatch: headers['if-match'], change: (term) => ({ ...term, ...body }) }),
  );

  app.post(
    '/v1/courses',
    {
      config,
      schema: {
        tags,
        operationId: 'createCourse',
        summary: 'Add a course; repeating it adds nothing',
        body: ref(NewCourse),
        response: answers({ 201: ref(Course) }, 401, 403, 422),
      },
    },
    async ({ body }, reply) => {
      const course = await createHeld(reply, courses, create(CourseSchema, body));
      return reply
        .code(201)
        .header('location', `/v1/courses/${encodeURIComponent(course.id)}`)
        .send(course);
    },
  );

  app.patch(
    '/v1/courses/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'changeCourse',
        summary: 'Change what is given; its sections show it, too',
        ...{ params, headers },
        body: ref(CourseChange),
        response: answers({ 200: ref(Course) }, 401, 403, 404, 412),
      },
    },
    ({ params: { id }, headers, body }, reply) =>
      changeHeld(reply, courses, { id, ifMatch: headers['if-match'], change: (course) => ({ ...course, ...body }) }),
  );
};
