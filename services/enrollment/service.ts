/** The calls of enrollment: check who asks, hand over to the engine or to one transaction, answer. */
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { type Caller, callerOf, hasRole, mayActFor, requireRole, requireSelfOr } from '#lib/caller';
import { inTransaction, type Query } from '#lib/database';
import { append, headPosition, type NewEvent } from '#lib/event-log';
import { toConnectError } from '#lib/interceptors';
import { refusalOf } from '#lib/refusal';
import { type Parts, tellPosition } from '#lib/service';
import { traceparent } from '#lib/trace';
import { type Enrollment, type Registration, RegistrationSchema } from '#proto/enrollment/v1/registration';
import {
  type EnrollmentService,
  type RegisterManyRequest_Entry as Entry,
  type RegisterManyResponse_Answer as ManyAnswer,
  RegisterManyResponse_AnswerSchema as ManyAnswerSchema,
  type RegisterRequest,
} from '#proto/enrollment/v1/service';
import type { Answer, Ask, Engine } from './engine.ts';
import { findRegistrations, normalized } from './registration.ts';
import {
  confirmSeats,
  finishDrops,
  type Locked,
  lockRegistration,
  releaseSeats,
  requestCancellation,
  reserveSeats,
} from './seats.ts';
import { leaveWaitlist, liveEnrollments } from './waitlist.ts';

const ENTRIES_MAX = 64;
/** Of a caller who named no deadline. */
const TIMEOUT_MS = 5_000;

export function enrollmentService(parts: Parts, engine: Engine): ServiceImpl<typeof EnrollmentService> {
  const { database, head, verifier } = parts;
  const { pool } = database;

  /** One change of a locked registration, with its events last. */
  async function onRegistration(
    context: HandlerContext,
    registrationId: string,
    change: (query: Query, locked: Locked) => Promise<NewEvent[]>,
  ): Promise<Registration> {
    const { registration, position } = await inTransaction(pool, { timeoutMs: timeoutOf(context) }, async (query) => {
      const locked = await lockRegistration(query, registrationId);
      const events = await change(query, locked);
      const position = events.length > 0 ? await append(query, events) : await headPosition(query);
      return { registration: locked.registration, position };
    });
    head.advance(position);
    tellPosition(context, position);
    return registration;
  }

  function causeOf(context: HandlerContext) {
    return { actor: callerOf(context).id, now: new Date() };
  }

  async function askOfEntry({ request, accessToken, traceparent }: Entry, deadline: number): Promise<Ask> {
    if (!request) throw new ConnectError('an entry has no request', Code.InvalidArgument);
    return askOf(request, { caller: await verifier.verify(accessToken), deadline, traceparent });
  }

  async function askOf(
    asked: RegisterRequest,
    { caller, deadline, traceparent }: { caller: Caller; deadline: number; traceparent: string },
  ): Promise<Ask> {
    const request = normalized(asked);
    await requireMayAct(caller, request.studentId, database.query);
    return { request, actor: caller.id, traceparent, deadline };
  }

  return {
    async register(request, context) {
      const about = { caller: callerOf(context), deadline: deadlineOf(context), traceparent: traceparent() };
      const answer = await engine.register(await askOf(request, about));
      tellPosition(context, answer.position);
      return answer;
    },

    async registerMany({ entries }, context) {
      requireRole(context, 'system');
      if (entries.length > ENTRIES_MAX) throw new ConnectError(`at most ${ENTRIES_MAX} entries`, Code.InvalidArgument);
      const deadline = deadlineOf(context);
      // Rights first and all of them, so that what may be asked is queued in the order in which it came.
      const asks = await Promise.allSettled(entries.map((entry) => askOfEntry(entry, deadline)));
      const fail = (error: unknown) => failed(error, parts);
      const answers = asks.map((ask) =>
        ask.status === 'fulfilled' ? engine.register(ask.value).then(answered, fail) : fail(ask.reason),
      );
      return { answers: await Promise.all(answers) };
    },

    async validate({ request }, context) {
      if (!request) throw new ConnectError('request is missing', Code.InvalidArgument);
      const wanted = normalized(request);
      await requireMayAct(callerOf(context), wanted.studentId, database.query);
      const registration = await engine.validate(wanted, timeoutOf(context));
      return registration ? { registration } : {};
    },

    async getRegistration({ registrationId }, context) {
      const registration = await readRegistration(database.query, registrationId, callerOf(context));
      tellPosition(context, await headPosition(database.query));
      return { registration };
    },

    async listEnrollments({ studentId, termId }, context): Promise<{ enrollments: Enrollment[] }> {
      requireSelfOr(context, studentId, 'staff', 'system');
      const enrollments = await liveEnrollments(database.query, { studentId, termId });
      tellPosition(context, await headPosition(database.query));
      return { enrollments };
    },

    async cancelRegistration({ registrationId }, context) {
      await readRegistration(database.query, registrationId, callerOf(context));
      const registration = await onRegistration(context, registrationId, (query, locked) =>
        requestCancellation(query, locked, causeOf(context)),
      );
      return { registration };
    },

    async leaveWaitlist({ studentId, sectionId }, context) {
      const caller = callerOf(context);
      await requireMayAct(caller, studentId, database.query);
      const position = await inTransaction(pool, { timeoutMs: timeoutOf(context) }, async (query) => {
        const events = await leaveWaitlist(query, { studentId, sectionId, actor: caller.id });
        return events.length > 0 ? append(query, events) : headPosition(query);
      });
      head.advance(position);
      tellPosition(context, position);
      return {};
    },

    async reserveSeats({ registrationId }, context) {
      requireRole(context, 'system');
      await onRegistration(context, registrationId, async (_query, locked) => {
        reserveSeats(locked);
        return [];
      });
      return {};
    },

    async confirmSeats({ registrationId }, context) {
      requireRole(context, 'system');
      await onRegistration(context, registrationId, (query, locked) => confirmSeats(query, locked, causeOf(context)));
      return {};
    },

    async releaseSeats({ registrationId, reason }, context) {
      requireRole(context, 'system');
      await onRegistration(context, registrationId, (query, locked) =>
        releaseSeats(query, locked, reason, causeOf(context)),
      );
      return {};
    },

    async finishDrops({ registrationId }, context) {
      requireRole(context, 'system');
      await onRegistration(context, registrationId, (query, locked) => finishDrops(query, locked, causeOf(context)));
      return {};
    },
  };
}

function timeoutOf(context: HandlerContext): number {
  return context.timeoutMs() ?? TIMEOUT_MS;
}

function deadlineOf(context: HandlerContext): number {
  return Date.now() + timeoutOf(context);
}

/** Students for themselves, whose token proves that they exist; staff for any student that is known. */
async function requireMayAct(caller: Caller, studentId: string, query: Query): Promise<void> {
  if (caller.id === studentId && hasRole(caller, 'student')) return;
  if (!hasRole(caller, 'staff')) throw new ConnectError('students act for themselves only', Code.PermissionDenied);
  const [student] = await query('select from students where id = $1', [studentId]);
  if (!student) throw new ConnectError(`there is no student ${studentId}`, Code.NotFound);
}

/** Somebody else's registration is as good as none, so that nobody learns which ids exist. @throws NOT_FOUND */
async function readRegistration(query: Query, id: string, caller: Caller): Promise<Registration> {
  const stored = (await findRegistrations(query, [id])).get(id);
  if (!stored || !mayActFor(caller, stored.studentId, 'staff', 'system')) {
    throw new ConnectError(`there is no registration ${id}`, Code.NotFound);
  }
  return create(RegistrationSchema, stored.registration);
}

function answered(answer: Answer): ManyAnswer {
  return create(ManyAnswerSchema, { result: { case: 'response', value: answer } });
}

/** An entry's failure in the shape that a call of its own would have had. */
function failed(error: unknown, { logger }: Parts): ManyAnswer {
  const { code, rawMessage: message } = toConnectError(error);
  if (code === Code.Internal) logger.error({ err: error }, 'a registration failed');
  const refusal = refusalOf(error);
  const detail = refusal && { reason: refusal.reason, sentence: refusal.message, remedy: refusal.remedy };
  return create(ManyAnswerSchema, {
    result: { case: 'failure', value: { code, message, ...(detail && { refusal: detail }) } },
  });
}
