/** What happens around every call a server answers: its span, its measure, its caller, its errors. */

import type { DescMethod } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel as Idempotency } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type Interceptor } from '@connectrpc/connect';
import { NotFoundError, OptimisticLockError } from '@mikro-orm/postgresql';
import { QueueFull } from './batcher.ts';
import { callerKey } from './caller.ts';
import { codeOf, isAway } from './database-error.ts';
import type { Logger } from './log.ts';
import { callDuration } from './metrics.ts';
import { Refusal, refusalToConnectError } from './refusal.ts';
import { checkTexts } from './text.ts';
import { InvalidToken, type TokenVerifier } from './token.ts';
import { inSpan, SpanKind } from './trace.ts';

export function traced(): Interceptor {
  return (next) => (request) =>
    inSpan(
      `${request.service.typeName}/${request.method.name}`,
      { parent: request.header.get('traceparent'), kind: SpanKind.SERVER },
      () => next(request),
    );
}

/** Measures every call, and writes a line about each that may have changed something: a trace id finds it there. */
export function measured(log: Logger): Interceptor {
  return (next) => async (request) => {
    const method = `${request.service.typeName}/${request.method.name}`;
    const isCommand = request.method.idempotency !== Idempotency.NO_SIDE_EFFECTS && !request.stream;
    const timer = callDuration.startTimer({ method });
    const end = (code: string) => {
      const seconds = timer({ code });
      if (isCommand) log.info({ method, code, ms: Math.round(seconds * 1000) }, 'called');
    };
    try {
      const response = await next(request);
      end('ok');
      return response;
    } catch (error) {
      end(Code[ConnectError.from(error).code]);
      throw error;
    }
  };
}

/** Turns every error into a status. What nobody named is logged with its trace id and never shows its text. */
export function errorsMapped(log: Logger): Interceptor {
  return (next) => async (request) => {
    try {
      return await next(request);
    } catch (error) {
      const mapped = toConnectError(error);
      if (mapped.code === Code.Internal) log.error({ err: error, method: request.method.name }, 'call failed');
      throw mapped;
    }
  };
}

/** The one place where errors become gRPC statuses. */
export function toConnectError(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof Refusal) return refusalToConnectError(error);
  if (error instanceof InvalidToken) return new ConnectError(error.message, Code.Unauthenticated);
  if (error instanceof NotFoundError) return new ConnectError('there is no such thing', Code.NotFound);
  if (error instanceof OptimisticLockError) return new ConnectError('it was changed meanwhile', Code.Aborted);
  if (error instanceof QueueFull) return new ConnectError('too many requests are waiting', Code.ResourceExhausted);
  return (
    databaseError(error) ?? new ConnectError('something went wrong here', Code.Internal, undefined, undefined, error)
  );
}

function databaseError(error: unknown): ConnectError | undefined {
  const code = codeOf(error);
  if (code === '57014') return new ConnectError('the deadline passed', Code.DeadlineExceeded);
  if (code === '40001' || code === '40P01') return new ConnectError('it was changed meanwhile', Code.Aborted);
  if (code === '22P02' || code === '22021')
    return new ConnectError('malformed id, number or text', Code.InvalidArgument);
  if (isAway(error)) return new ConnectError('the database is away', Code.Unavailable);
  return undefined;
}

/** Verifies the bearer token of every call but those of public methods. Who calls is in the context from here on. */
export function authenticated(verifier: TokenVerifier, publicMethods: readonly DescMethod[]): Interceptor {
  const open = new Set(publicMethods);
  const openServices = /^grpc\.(health|reflection)\./;
  return (next) => async (request) => {
    const token = request.header.get('authorization')?.replace(/^Bearer /i, '');
    const isOpen = open.has(request.method) || openServices.test(request.service.typeName);
    if (token && !isOpen) request.contextValues.set(callerKey, await verifier.verify(token));
    else if (!isOpen) throw new ConnectError('a bearer token is needed', Code.Unauthenticated);
    return next(request);
  };
}

/** Refuses what could not be kept or told of. @param partly methods that bring what many people said, and check it part by part. */
export function textsChecked(partly: readonly DescMethod[] = []): Interceptor {
  const exempt = new Set(partly);
  return (next) => (request) => {
    if (!request.stream && !exempt.has(request.method)) checkTexts(request.message);
    return next(request);
  };
}
