/** What needs an operator. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { decodeCursor, encodeCursor, isText } from '../page.ts';
import type { EdgeParts } from '../parts.ts';
import { sagaFilters } from '../sagas.ts';
import { answers, closed, empty, line, PAGE_DEFAULT, pageQuery, ref, word } from '../schema/elements.ts';
import { SagaPage } from '../schema/saga.ts';

const WORKFLOW_ID_LENGTH_MAX = 200;
const staff = { access: ['staff'] } as const;

export const sagaRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { sagas }) => {
  app.get(
    '/v1/sagas',
    {
      config: staff,
      schema: {
        tags: ['sagas'],
        operationId: 'listSagas',
        summary: 'Sagas, newest first',
        querystring: closed({ ...pageQuery, status: Type.Optional(word(sagaFilters)) }),
        response: answers({ 200: ref(SagaPage) }, 401, 403),
      },
    },
    async ({ query: { limit = PAGE_DEFAULT, cursor, status = 'stuck' } }) => {
      const [token = ''] = decodeCursor(cursor, [isText]) ?? [];
      const { items, nextPageToken } = await sagas.list(status, { limit, token: Buffer.from(token, 'base64url') });
      if (nextPageToken.length === 0) return { items };
      return { items, nextCursor: encodeCursor([Buffer.from(nextPageToken).toString('base64url')]) };
    },
  );

  app.post(
    '/v1/sagas/:id/retry',
    {
      config: staff,
      schema: {
        tags: ['sagas'],
        operationId: 'retrySaga',
        summary: 'Let a stuck saga try again now',
        params: closed({ id: line({ minLength: 1, maxLength: WORKFLOW_ID_LENGTH_MAX }) }),
        response: answers({ 202: empty('it was told') }, 401, 403, 404),
      },
    },
    async ({ params }, reply) => {
      await sagas.retry(params.id);
      return reply.code(202).send(null);
    },
  );
};
