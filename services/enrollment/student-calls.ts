/** The calls of students and staff: check who asks, hand over to the engine or to one transaction, answer. */
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { type Caller, callerOf, hasRole, mayActFor, requireRole, requireSelfOr } from '#lib/caller';
import { appendAll, tellCommitted, tellPosition } from '#lib/change';
import { inTransaction, type Query } from '#lib/database';
import { headPosition } from '#lib/event-log';
import { toConnectError } from '#lib/interceptors';
import { refusalOf } from '#lib/refusal';
import type { Parts } from '#lib/service';
import { checkTexts } from '#lib/text';
import { traceIdIn, traceparent } from '#lib/trace';
import { wordOf } from '#lib/words';
import {
  type Enrollment,
  type Registration,
  RegistrationSchema,
  RegistrationStatusSchema,
} from '#proto/enrollment/v1/registration';
import {
  type EnrollmentService,
  type RegisterManyRequest_Entry as Entry,
  type RegisterManyResponse_Answer as ManyAnswer,
  RegisterManyResponse_AnswerSchema as ManyAnswerSchema,
  type RegisterRequest,
} from '#proto/enrollment/v1/service';
import type { Answer, Ask, Engine } from './engine.ts';
import { findRegistrations, normalized } from './registration.ts';
import { registrationChanges, timeoutOf } from './registration-change.ts';
import type { sagaCalls } from './saga-calls.ts';
import { requestCancellation } from './seats.ts';
import { leaveWaitlist, liveEnrollments } from './waitlist.ts';

const ENTRIES_MAX = 256;

type StudentCalls = Omit<ServiceImpl<typeof EnrollmentService>, keyof ReturnType<typeof sagaCalls>>;

/** The calls of students and staff. */
export function studentCalls(parts: Parts, engine: Engine): StudentCalls {
  const { database, head, logger, readInSql, verifier } = parts;
  const { pool } = database;
  const onRegistration = registrationChanges(parts);

  async function askOfEntry(entry: Entry, deadline: number): Promise<Ask> {
    checkTexts(entry);
    const { request, accessToken, traceparent } = entry;
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

  /** A line each, because the call's own line has the trace of one of them. */
  function decided({ request, traceparent }: Ask, answer: Answer): ManyAnswer {
    const status = wordOf(RegistrationStatusSchema, answer.registration.status);
    logger.info({ traceId: traceIdIn(traceparent), registrationId: request.registrationId, status }, 'decided');
    return answered(answer);
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
        ask.status === 'fulfilled'
          ? engine.register(ask.value).then((answer) => decided(ask.value, answer), fail)
          : fail(ask.reason),
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
      return readInSql(context, async (query) => {
        const registration = await readRegistration(query, registrationId, callerOf(context));
        tellPosition(context, await headPosition(query));
        return { registration };
      });
    },

    async listEnrollments({ studentId, termId }, context): Promise<{ enrollments: Enrollment[] }> {
      requireSelfOr(context, studentId, 'staff', 'system');
      return readInSql(context, async (query) => {
        const enrollments = await liveEnrollments(query, { studentId, termId });
        tellPosition(context, await headPosition(query));
        return { enrollments };
      });
    },

    async cancelRegistration({ registrationId }, context) {
      await readRegistration(database.query, registrationId, callerOf(context));
      const registration = await onRegistration(context, registrationId, requestCancellation);
      return { registration };
    },

    async leaveWaitlist({ studentId, sectionId }, context) {
      const caller = callerOf(context);
      await requireMayAct(caller, studentId, database.query);
      const written = await inTransaction(pool, { timeoutMs: timeoutOf(context) }, async (query) => {
        const events = await leaveWaitlist(query, { studentId, sectionId, actor: caller.id });
        return { result: {}, position: await appendAll(query, events) };
      });
      return tellCommitted(context, head, written);
    },
  };
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
