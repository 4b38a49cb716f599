/** Leave a waitlist. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { ask } from '../ask.ts';
import { whose } from '../auth.ts';
import type { EdgeParts } from '../parts.ts';
import { malformed } from '../problem.ts';
import { answers, closed, empty, Id, line } from '../schema/elements.ts';

export const waitlistRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { clients }) => {
  const enrollment = clients.of(EnrollmentService, 'enrollment');

  app.delete(
    '/v1/waitlist/:sectionId',
    {
      config: { access: ['student', 'staff'] },
      schema: {
        tags: ['registrations'],
        operationId: 'leaveWaitlist',
        summary: 'Give up a place on a waitlist; repeating it changes nothing',
        params: closed({ sectionId: Id }),
        querystring: closed({
          studentId: Type.Optional(line({ minLength: 1, maxLength: 100, description: 'for staff: whose' })),
        }),
        response: answers({ 204: empty('left') }, 401, 403, 404),
      },
    },
    async (request, reply) => {
      const studentId = whose(request, request.query.studentId);
      if (studentId === undefined) throw malformed('studentId', 'is missing: staff say whose place it is');
      const { sectionId } = request.params;
      await ask(reply, 'enrollment', (options) => enrollment.leaveWaitlist({ studentId, sectionId }, options));
      return reply.code(204).send(null);
    },
  );
};
