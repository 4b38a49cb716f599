/** Take seats and give them back. Students act for themselves, staff for any student. */
import { randomUUID } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { traceparent } from '#lib/trace';
import { fromWord } from '#lib/words';
import {
  type Materials,
  MaterialsSchema,
  type Mode,
  ModeSchema,
  RegistrationStatus,
} from '#proto/enrollment/v1/registration';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { RegistrationView } from '#views/registration';
import { ask, present } from '../ask.ts';
import { tokenOf, whose } from '../auth.ts';
import { gatherRegistrations } from '../gather.ts';
import { decodeInstantCursor, isUuid, pageFrom } from '../page.ts';
import type { EdgeParts } from '../parts.ts';
import { waitFor } from '../prefer.ts';
import { malformed } from '../problem.ts';
import { readViews, tokenFrom, tokenIn } from '../read-views.ts';
import { fromMessage, fromViews, type RegistrationAnswer } from '../registration.ts';
import { registrationReader } from '../registration-reader.ts';
import {
  answers,
  closed,
  commandHeaders,
  line,
  PAGE_DEFAULT,
  pageQuery,
  readHeaders,
  ref,
  Uuid,
  word,
} from '../schema/elements.ts';
import { Forecast, NewRegistration, Registration, RegistrationPage, statusWords } from '../schema/registration.ts';

const tags = ['registrations'];
const config = { access: ['student', 'staff'] } as const;
const params = closed({ id: Uuid });

export const registrationRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (
  app,
  { config: { paymentMethodDefault }, clients, views },
) => {
  const enrollment = clients.of(EnrollmentService, 'enrollment');
  const register = gatherRegistrations(enrollment);
  const reader = registrationReader(enrollment, views);
  const closing = new AbortController();
  app.addHook('preClose', async () => closing.abort());

  /** What became of it, if the client would wait and it ended meanwhile. */
  function ended(reply: FastifyReply, id: string): Promise<RegistrationAnswer | undefined> {
    const token = tokenFrom(reply.getHeader('consistency-token') as string | undefined); // we set it, once
    return waitFor(reply, closing.signal, async () => {
      const shown = await reader.inViews(reply.request, id, token);
      return shown && shown.status !== 'pending' ? shown : undefined;
    });
  }

  app.put(
    '/v1/registrations/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'register',
        summary: 'Ask for sections; every item is decided at once',
        params,
        headers: commandHeaders,
        body: ref(NewRegistration),
        response: answers({ 200: ref(Registration), 202: ref(Registration) }, 401, 403, 404, 422),
      },
    },
    async (request, reply) => {
      const id = request.params.id.toLowerCase();
      const accessToken = tokenOf(request) ?? '';
      const asked = requestOf(request, id, { paymentMethod: paymentMethodDefault, ...request.body });
      const answer = await register({ accessToken, request: asked, traceparent: traceparent() });
      const registration = present('enrollment', answer.registration);
      reply.header('consistency-token', `enrollment:${answer.position}`);
      reply.header('location', `/v1/registrations/${id}`);
      if (registration.status === RegistrationStatus.REFUSED) return fromMessage(registration);
      if (registration.status !== RegistrationStatus.PENDING) {
        return reader.find(reply, id, tokenFrom(`enrollment:${answer.position}`));
      }
      return (await ended(reply, id)) ?? reply.code(202).send(fromMessage(registration));
    },
  );

  app.post(
    '/v1/registrations/validate',
    {
      config,
      schema: {
        tags,
        operationId: 'validateRegistration',
        summary: 'What would happen; nothing is taken',
        body: ref(NewRegistration),
        response: answers({ 200: ref(Forecast) }, 401, 403, 404, 422),
      },
    },
    async (request, reply) => {
      const asked = requestOf(request, randomUUID(), { paymentMethod: paymentMethodDefault, ...request.body });
      const { registration } = await ask(reply, 'enrollment', (options) =>
        enrollment.validate({ request: asked }, options),
      );
      return fromMessage(present('enrollment', registration));
    },
  );

  app.get(
    '/v1/registrations/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'getRegistration',
        summary: 'One registration, with what the saga has done so far',
        params,
        headers: readHeaders,
        response: answers({ 200: ref(Registration) }, 401, 403, 404),
      },
    },
    (request, reply) => reader.find(reply, request.params.id.toLowerCase(), tokenIn(request)),
  );

  app.get(
    '/v1/registrations',
    {
      config,
      schema: {
        tags,
        operationId: 'listRegistrations',
        summary: 'One’s own registrations, newest first; staff see everybody’s',
        headers: readHeaders,
        querystring: closed({
          ...pageQuery,
          status: Type.Optional(word(statusWords)),
          studentId: Type.Optional(line({ minLength: 1, maxLength: 100, description: 'for staff: only whose' })),
        }),
        response: answers({ 200: ref(RegistrationPage) }, 401, 403),
      },
    },
    (request) => {
      const { limit = PAGE_DEFAULT, cursor, status } = request.query;
      const studentId = whose(request, request.query.studentId);
      const after = decodeInstantCursor(cursor, isUuid);
      return readViews(request, views, async (em) => {
        const rows = await em.find(
          RegistrationView,
          { ...(studentId && { studentId }), ...(status && { status }), ...olderThan(after) },
          { orderBy: { requestedAt: 'desc', id: 'desc' }, limit: limit + 1 },
        );
        const shown = pageFrom(rows, limit, {
          item: (row) => row,
          key: ({ requestedAt, id }) => [requestedAt.toISOString(), id],
        });
        return { ...shown, items: await fromViews(em, shown.items) };
      });
    },
  );

  app.delete(
    '/v1/registrations/:id',
    {
      config,
      schema: {
        tags,
        operationId: 'cancelRegistration',
        summary: 'Cancel one that is still pending; its saga gives everything back',
        params,
        headers: commandHeaders,
        response: answers({ 200: ref(Registration), 202: ref(Registration) }, 401, 403, 404, 409),
      },
    },
    async (request, reply) => {
      const registrationId = request.params.id.toLowerCase();
      const { registration } = await ask(reply, 'enrollment', (options) =>
        enrollment.cancelRegistration({ registrationId }, options),
      );
      const message = present('enrollment', registration);
      return (await ended(reply, registrationId)) ?? reply.code(202).send(fromMessage(message));
    },
  );
};

function requestOf(request: FastifyRequest, registrationId: string, body: Static<typeof NewRegistration>) {
  const { adds = [], drops = [], mode = 'each', materials = 'none', paymentMethod = '' } = body;
  if (adds.length + drops.length === 0) throw malformed('adds', 'must name a section, or drops must');
  return {
    registrationId,
    studentId: studentOf(request, body.studentId),
    adds: adds.map(({ sectionId, orWaitlist = false }) => ({ sectionId, orWaitlist })),
    drops,
    mode: fromWord<Mode>(ModeSchema, mode),
    materials: fromWord<Materials>(MaterialsSchema, materials),
    paymentMethod,
  };
}

/** @throws Problem 403 for a student who names another, 400 for staff who name nobody. */
function studentOf(request: FastifyRequest, named: string | undefined): string {
  const student = whose(request, named);
  if (student === undefined) throw malformed('studentId', 'is missing: staff say whose registration it is');
  return student;
}

function olderThan(after: ReturnType<typeof decodeInstantCursor>) {
  if (!after) return {};
  const { at: requestedAt, id } = after;
  return { $or: [{ requestedAt: { $lt: requestedAt } }, { requestedAt, id: { $lt: id } }] };
}
