/** Watch seats go. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { EdgeParts } from '../parts.ts';
import { malformed } from '../problem.ts';
import { answers, closed, eventStream, line } from '../schema/elements.ts';
import { SeatBoard } from '../seat-board.ts';

const IDS_MAX = 50;
const IDS_LENGTH_MAX = 5_000;

export const seatRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { views, logger }) => {
  const board = new SeatBoard(views, logger);
  app.addHook('preClose', async () => board.close());

  app.get(
    '/v1/sections/stream',
    {
      config: { access: 'public' },
      schema: {
        tags: ['catalog'],
        operationId: 'watchSeats',
        summary: 'Seat counts as they change, as server-sent events; at most one frame a second',
        querystring: closed({
          ids: line({
            minLength: 1,
            maxLength: IDS_LENGTH_MAX,
            description: `at most ${IDS_MAX}, separated by commas`,
          }),
        }),
        headers: Type.Object({
          'last-event-id': Type.Optional(
            Type.String({ pattern: '^\\d{1,15}$', description: 'go on after the event with this id' }),
          ),
        }),
        response: answers({ 200: eventStream('`event: seats`, with `items[]` of what changed') }),
      },
    },
    async (request, reply) => {
      const ids = [...new Set(request.query.ids.split(',').filter(Boolean))];
      if (ids.length === 0 || ids.length > IDS_MAX) throw malformed('ids', `must be 1 to ${IDS_MAX} sections`);
      const stream = board.watch(ids, Number(request.headers['last-event-id'] ?? 0));
      // No proxy keeps what is meant for now.
      reply.header('cache-control', 'no-store').header('x-accel-buffering', 'no').type('text/event-stream');
      return reply.send(stream);
    },
  );
};
