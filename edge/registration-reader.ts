/** Finds one registration: in the views, or where they do not show it yet, at its service. */
import type { Client } from '@connectrpc/connect';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EnrollmentService } from '#proto/enrollment/v1/service';
import type { Views } from '#views/reader';
import { RegistrationView } from '#views/registration';
import type { ConsistencyToken } from '#views/token';
import { ask, present, READ_TIMEOUT_MS } from './ask.ts';
import { callerOf, isStaff } from './auth.ts';
import { notFound } from './problem.ts';
import { isViewAway, readAt } from './read-views.ts';
import { fromMessage, fromViews, type RegistrationAnswer } from './registration.ts';

export interface RegistrationReader {
  /** What the views show of it; undefined where they do not show it yet. @throws Problem 404 for somebody else's. */
  inViews(request: FastifyRequest, id: string, token: ConsistencyToken): Promise<RegistrationAnswer | undefined>;
  /** From the views, else from the service. @throws Problem 404 */
  find(reply: FastifyReply, id: string, token: ConsistencyToken): Promise<RegistrationAnswer>;
}

export function registrationReader(enrollment: Client<typeof EnrollmentService>, views: Views): RegistrationReader {
  const inViews: RegistrationReader['inViews'] = async (request, id, token) => {
    const found = await readAt(token, views, async (em) => {
      const view = await em.findOne(RegistrationView, id);
      return view ? (await fromViews(em, [view]))[0] : undefined;
    }).catch((error: unknown) => {
      if (isViewAway(error)) return undefined;
      throw error;
    });
    // Nobody learns from us which ids exist.
    if (found && found.studentId !== callerOf(request).id && !isStaff(request)) throw notFound('such registration');
    return found;
  };
  return {
    inViews,
    find: async (reply, id, token) => {
      const shown = await inViews(reply.request, id, token);
      if (shown) return shown;
      const { registration } = await ask(
        reply,
        'enrollment',
        (options) => enrollment.getRegistration({ registrationId: id }, options),
        READ_TIMEOUT_MS,
      );
      return fromMessage(present('enrollment', registration));
    },
  };
}
