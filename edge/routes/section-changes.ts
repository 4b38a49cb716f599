/** Sections, as staff make, change and cancel them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { type Section, SectionStatus } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { ask, present, READ_TIMEOUT_MS } from '../ask.ts';
import { changeHeld, createHeld, kindsOf } from '../catalog-change.ts';
import { catalogSectionOf, changedSection, newSection } from '../catalog-section.ts';
import type { EdgeParts } from '../parts.ts';
import { CatalogSection, NewSection, SectionChange } from '../schema/catalog-change.ts';
import { answers, changeHeaders, closed, Id, ref } from '../schema/elements.ts';

const NOTES = [
  'An empty change answers the section as it is now, with its `ETag`.',
  '`GET` shows a capacity that was raised once its seats can be had.',
].join(' ');

const tags = ['catalog'];
const config = { access: ['staff'] } as const;
const params = closed({ id: Id });
const headers = changeHeaders;

export const sectionChangeRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { clients }) => {
  const catalog = clients.of(CatalogService, 'catalog');
  const { sections } = kindsOf(catalog);

  app.post(
    '/v1/sections',
    {
      config,
      schema: {
        tags,
        operationId: 'createSection',
        summary: 'Add a section; repeating it adds nothing',
        body: ref(NewSection),
        response: answers({ 201: ref(CatalogSection) }, 401, 403, 422),
      },
    },
    async ({ body }, reply) => {
      const section = await createHeld(reply, sections, newSection(body));
      reply.code(201).header('location', `/v1/sections/${encodeURIComponent(section.id)}`);
      return withCourse(section, reply);
    },
  );

  app.patch(
    '/v1/sections/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'changeSection',
        summary: 'Change what is given; lists are given whole',
        description: NOTES,
        ...{ params, headers },
        body: ref(SectionChange),
        response: answers({ 200: ref(CatalogSection) }, 401, 403, 404, 412, 422),
      },
    },
    async ({ params: { id }, headers, body }, reply) => {
      const change = (section: Section) => changedSection(section, body);
      return withCourse(await changeHeld(reply, sections, { id, ifMatch: headers['if-match'], change }), reply);
    },
  );

  app.post(
    '/v1/sections/:id/cancel',
    {
      config,
      schema: {
        tags,
        operationId: 'cancelSection',
        summary: 'The section does not take place; repeating it changes nothing',
        description:
          'Whoever is in it is dropped and paid back in full, and whoever waits for it waits no more, each by a registration of their own, within moments. It does not open again.',
        params,
        response: answers({ 200: ref(CatalogSection) }, 401, 403, 404),
      },
    },
    async ({ params: { id } }, reply) => {
      const change = (section: Section) => ({ ...section, status: SectionStatus.CANCELLED });
      return withCourse(await changeHeld(reply, sections, { id, ifMatch: undefined, change }), reply);
    },
  );

  async function withCourse(section: Section, reply: FastifyReply) {
    const { courseId } = section;
    const { course } = await ask(
      reply,
      'catalog',
      (options) => catalog.getCourse({ courseId }, options),
      READ_TIMEOUT_MS,
    );
    return catalogSectionOf(section, present('catalog', course));
  }
};
