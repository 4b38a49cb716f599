/** The schedule in a student's own calendar program, which cannot log in: it has a key, and the student can revoke it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { IdentityService } from '#proto/identity/v1/service';
import { TermView } from '#views/term';
import { ask, present, READ_TIMEOUT_MS } from '../ask.ts';
import { calendarOf } from '../calendar.ts';
import type { EdgeParts } from '../parts.ts';
import { notFound } from '../problem.ts';
import { readViews } from '../read-views.ts';
import { scheduleOf } from '../schedule.ts';
import { answers, closed, empty, ref, textOf } from '../schema/elements.ts';
import { CalendarKey } from '../schema/me.ts';

const KEY_LENGTH_MAX = 100;
const CALENDAR_TYPE = 'text/calendar';

const tags = ['me'];
const config = { access: ['student'] } as const;

export const calendarRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { clients, views }) => {
  const identity = clients.of(IdentityService, 'identity');

  app.post(
    '/v1/me/schedule/key',
    {
      config,
      schema: {
        tags,
        operationId: 'createCalendarKey',
        summary: 'A key for the calendar feed; the one before it, if there was one, works no more',
        response: answers({ 201: ref(CalendarKey) }, 401, 403),
      },
    },
    async (_request, reply) => {
      const { key } = await ask(reply, 'identity', (options) => identity.createCalendarKey({}, options));
      return reply.code(201).send({ key, url: `/v1/me/schedule.ics?key=${encodeURIComponent(key)}` });
    },
  );

  app.delete(
    '/v1/me/schedule/key',
    {
      config,
      schema: {
        tags,
        operationId: 'revokeCalendarKey',
        summary: 'End the key of the calendar feed; repeating it changes nothing',
        response: answers({ 204: empty('revoked') }, 401, 403),
      },
    },
    async (_request, reply) => {
      await ask(reply, 'identity', (options) => identity.revokeCalendarKey({}, options));
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/v1/me/schedule.ics',
    {
      config: { access: 'public' },
      schema: {
        tags,
        operationId: 'getCalendar',
        summary: 'The schedule as a calendar feed (iCalendar), for whoever has the key',
        querystring: closed({
          key: Type.String({
            pattern: '^[\\w-]+$',
            maxLength: KEY_LENGTH_MAX,
            description: 'of POST /v1/me/schedule/key',
          }),
        }),
        response: answers({ 200: textOf(CALENDAR_TYPE, 'an event for each meeting') }, 404),
      },
    },
    async (request, reply) => {
      const { key } = request.query;
      const asked = await ask(
        reply,
        'identity',
        (options) => identity.resolveCalendarKey({ key }, options),
        READ_TIMEOUT_MS,
      );
      const { id, roles } = present('identity', asked.account);
      if (!roles.includes('student')) throw notFound('such calendar');
      const calendar = await readViews(request, views, async (em, asOf) => {
        const { items } = await scheduleOf(em, asOf, id);
        const termIds = items.map(({ section }) => section.term);
        const terms = await em.find(TermView, { id: { $in: termIds } }, { orderBy: { id: 'asc' } });
        return calendarOf(items, terms, new Date());
      });
      // It is one student's, and out of date as soon as they register.
      return reply.header('cache-control', 'private, no-cache').type(`${CALENDAR_TYPE}; charset=utf-8`).send(calendar);
    },
  );
};
