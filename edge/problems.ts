/** The one place where errors become answers: RFC 9457 problems, which never show a stack, SQL, or another's text. */
import { Code, ConnectError } from '@connectrpc/connect';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { QueueFull } from '#lib/batcher';
import { type Refusal, refusalOf } from '#lib/refusal';
import { InvalidToken } from '#lib/token';
import { traceId } from '#lib/trace';
import { DependencyFailure, notFound, notPermitted, Problem, RETRY_AFTER_SECONDS, unavailable } from './problem.ts';
import { PROBLEM_TYPE, type Problem as ProblemBody } from './schema/elements.ts';

const FIELDS_MAX = 20;

const titles: Record<number, string> = {
  400: 'Malformed request',
  401: 'Not logged in',
  403: 'Not permitted',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'Too slow',
  409: 'Conflict',
  412: 'Changed meanwhile',
  413: 'Too large',
  415: 'Unsupported media type',
  422: 'A rule says no',
  429: 'Too many requests',
  431: 'Too large',
  500: 'Something went wrong here',
  503: 'Unavailable for the moment',
};

/** Makes every error and every unknown route a problem. Guessing routes counts against the limits as any request does. */
export function answerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request, reply) =>
    sendProblem(notFound('such route'), request, reply),
  );
}

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error);
  if (problem.status === 500) request.log.error({ err: error, route: request.routeOptions.url }, 'request failed');
  const { retryAfterSeconds } = problem.options;
  if (retryAfterSeconds !== undefined && !reply.hasHeader('retry-after'))
    reply.header('retry-after', retryAfterSeconds);
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(problem.status).type(PROBLEM_TYPE).send(bodyOf(problem));
}

/** A problem as RFC 9457 writes it. */
export function bodyOf({ status, code, message, options }: Problem): Static<typeof ProblemBody> {
  const { retryAfterSeconds, ...extra } = options;
  const id = traceId();
  return {
    type: `/problems/${code}`,
    title: titles[status] ?? 'Problem',
    status,
    detail: message,
    code,
    ...extra,
    ...(id ? { traceId: id } : {}),
  };
}

export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof DependencyFailure) return ofDependency(error.dependency, error.cause);
  if (error instanceof InvalidToken) return new Problem(401, 'invalid-token', 'The access token is not valid.');
  if (isFastifyError(error)) return ofRequest(error);
  return internal();
}

function internal(): Problem {
  return new Problem(500, 'internal', 'This is our fault. Tell us the trace id.');
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'code' in error && /^FST_/.test(String(error.code));
}

/** What Fastify itself refuses: a body that is malformed, too large, or of an unknown kind. */
function ofRequest(error: FastifyError): Problem {
  if (error.validation) return ofValidation(error);
  const status = error.statusCode ?? 500;
  if (status === 413) return new Problem(413, 'body-too-large', 'The body is larger than 64 KiB.');
  if (status === 415) return new Problem(415, 'unsupported-media-type', 'The body must be application/json.');
  if (status >= 400 && status < 500) return new Problem(400, 'malformed-request', 'The request cannot be read.');
  return status === 503 ? unavailable('edge') : internal();
}

function ofValidation({ validation = [], validationContext = 'body' }: FastifyError): Problem {
  const fields = validation.slice(0, FIELDS_MAX).map(({ instancePath, params, message = 'is not valid' }) => {
    const { additionalProperty, missingProperty } = params as AjvParams;
    const path = [...instancePath.split('/'), additionalProperty, missingProperty].filter(Boolean).join('.');
    return { path: path || validationContext, message: saying(params, message) };
  });
  return new Problem(400, 'malformed-request', `The ${validationContext} is not what this route takes.`, { fields });
}

/** What ajv says beside its message, by keyword: https://ajv.js.org/api.html#error-parameters */
interface AjvParams {
  additionalProperty?: string;
  missingProperty?: string;
  allowedValues?: string[];
}

function saying({ additionalProperty, missingProperty, allowedValues }: AjvParams, message: string): string {
  if (additionalProperty) return 'is not known here';
  if (missingProperty) return 'is missing';
  return allowedValues ? `must be one of ${allowedValues.join(', ')}` : message;
}

/** Rules whose "no" is about what happened meanwhile, rather than about what was asked. */
const conflicts = new Set(['registration-ended', 'drop-in-progress', 'material-reserved']);

function ofDependency(dependency: string, cause: unknown): Problem {
  if (cause instanceof Problem) return cause;
  if (cause instanceof QueueFull) return tooBusy(dependency);
  const refusal = refusalOf(cause);
  if (refusal) return ofRefusal(refusal);
  if (!(cause instanceof ConnectError)) return internal();
  return ofStatus(dependency, cause) ?? internal();
}

function ofRefusal({ reason, message, remedy }: Refusal): Problem {
  return new Problem(conflicts.has(reason) ? 409 : 422, reason, message, { reason, ...(remedy ? { remedy } : {}) });
}

function tooBusy(dependency: string): Problem {
  return tryAgain(`${dependency}-busy`, 'Too many requests are waiting already.');
}

function tryAgain(code: string, sentence: string): Problem {
  return new Problem(503, code, sentence, {
    remedy: 'Try again in a moment; nothing was taken.',
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}

/** A service's own sentences are shown only where its contract makes them for the caller. */
function ofStatus(dependency: string, error: ConnectError): Problem | undefined {
  switch (error.code) {
    case Code.InvalidArgument:
      return ofArgument(error.rawMessage);
    case Code.Unauthenticated:
      return new Problem(401, 'not-logged-in', sentence(error.rawMessage));
    case Code.PermissionDenied:
      return notPermitted('Your role or identity does not allow this.');
    case Code.NotFound:
      return notFound();
    case Code.AlreadyExists:
      return new Problem(422, 'id-taken', 'The same id or name is taken, with other content.', {
        remedy: 'Use a new id for a new request.',
      });
    case Code.Aborted:
      return tryAgain('changed-meanwhile', 'Somebody changed it at the same moment.');
    case Code.ResourceExhausted:
      return tooBusy(dependency);
    case Code.Unavailable:
    case Code.DeadlineExceeded:
    case Code.Canceled:
      return unavailable(dependency);
    default:
      return undefined;
  }
}

/** Services say "field: rule", or a sentence. */
function ofArgument(message: string): Problem {
  const [, path, rule] = /^([a-z_]+): (.+)$/.exec(message) ?? [];
  const fields = path && rule ? { fields: [{ path: camelCase(path), message: rule }] } : {};
  return new Problem(400, 'malformed-request', sentence(message), fields);
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}

function sentence(message: string): string {
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}${/[.!?]$/.test(message) ? '' : '.'}`;
}
