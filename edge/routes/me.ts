/** What is one's own: the account, the standing, the schedule, the ledger. */

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { IdentityService } from '#proto/identity/v1/service';
import { AccountEntryView, balanceOf } from '#views/account';
import type { AsOf } from '#views/reader';
import { TermView } from '#views/term';
import { accountOf } from '../account.ts';
import { ask, present, READ_TIMEOUT_MS } from '../ask.ts';
import { callerOf } from '../auth.ts';
import { currentTerm } from '../current-term.ts';
import { CURRENCY_DEFAULT } from '../money.ts';
import { decodeInstantCursor, isText, pageFrom } from '../page.ts';
import type { EdgeParts } from '../parts.ts';
import { isViewAway, readViews } from '../read-views.ts';
import { scheduleOf } from '../schedule.ts';
import { answers, closed, Id, PAGE_DEFAULT, pageQuery, readHeaders, ref } from '../schema/elements.ts';
import { Me, Schedule, StudentAccount } from '../schema/me.ts';

const tags = ['me'];
const student = { access: ['student'] } as const;
const headers = readHeaders;

type MeAnswer = Static<typeof Me>;

export const meRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { clients, views }) => {
  const identity = clients.of(IdentityService, 'identity');

  /** Null where the views cannot tell. */
  async function standing(request: FastifyRequest): Promise<MeAnswer['standing']> {
    try {
      return await readViews(request, views, (em, asOf) => standingOf(em, asOf, callerOf(request).id));
    } catch (error) {
      if (isViewAway(error)) return null;
      throw error;
    }
  }

  app.get(
    '/v1/me',
    {
      schema: {
        tags,
        operationId: 'getMe',
        summary: 'Who one is, and for students how they stand in the current term',
        headers,
        response: answers({ 200: ref(Me) }, 401, 404),
      },
    },
    async (request, reply) => {
      const { id: accountId, roles } = callerOf(request);
      const asked = ask(reply, 'identity', (options) => identity.getAccount({ accountId }, options), READ_TIMEOUT_MS);
      const [{ account }, how] = await Promise.all([asked, roles.includes('student') ? standing(request) : undefined]);
      const who = accountOf(present('identity', account));
      return how === undefined ? who : { ...who, standing: how };
    },
  );

  app.get(
    '/v1/me/schedule',
    {
      config: student,
      schema: {
        tags,
        operationId: 'getSchedule',
        summary: 'Enrolled, reserved and waitlisted sections with their meetings',
        headers,
        querystring: closed({ term: Type.Optional(Id) }),
        response: answers({ 200: ref(Schedule) }, 401, 403),
      },
    },
    (request) =>
      readViews(request, views, (em, asOf) => scheduleOf(em, asOf, callerOf(request).id, request.query.term)),
  );

  app.get(
    '/v1/me/account',
    {
      config: student,
      schema: {
        tags,
        operationId: 'getStudentAccount',
        summary: 'What is owed and why, newest first',
        headers,
        querystring: closed(pageQuery),
        response: answers({ 200: ref(StudentAccount) }, 401, 403),
      },
    },
    (request) => {
      const { limit = PAGE_DEFAULT, cursor } = request.query;
      const studentId = callerOf(request).id;
      const older = olderThan(decodeInstantCursor(cursor, isText));
      return readViews(request, views, async (em, asOf) => {
        const rows = await em.find(
          AccountEntryView,
          { studentId, ...older },
          { orderBy: { at: 'desc', id: 'desc' }, limit: limit + 1 },
        );
        const page = pageFrom(rows, limit, { item: entryOf, key: ({ at, id }) => [at.toISOString(), id] });
        const [balance = { amount: 0, currency: CURRENCY_DEFAULT }] = await balanceOf(em, studentId);
        return { balance, ...page, asOf: asOf('billing')?.toISOString() ?? null };
      });
    },
  );
};

/** In the current term; null where there is none. */
async function standingOf(em: EntityManager, asOf: AsOf, studentId: string): Promise<MeAnswer['standing']> {
  const terms = await em.find(TermView, {}, { orderBy: { startsOn: 'asc', id: 'asc' } });
  const term = currentTerm(terms, new Date());
  if (!term) return null;
  const { credits, asOf: knownAt } = await scheduleOf(em, asOf, studentId, term.id);
  return {
    term: term.id,
    credits: knownAt === null ? null : credits,
    creditsLimit: term.creditsMax,
    holds: [],
    registrationOpensAt: null,
  };
}

function entryOf(entry: AccountEntryView): Static<typeof StudentAccount>['items'][number] {
  const { id, registrationId, termId, kind, description, amount, currency, at } = entry;
  return {
    id,
    ...(registrationId !== '' && { registrationId }),
    ...(termId !== '' && { term: termId }),
    kind,
    description,
    amount: { amount, currency },
    at: at.toISOString(),
  };
}

function olderThan(after: ReturnType<typeof decodeInstantCursor>) {
  return after ? { $or: [{ at: { $lt: after.at } }, { at: after.at, id: { $lt: after.id } }] } : {};
}
