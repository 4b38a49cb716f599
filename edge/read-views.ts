/** Reads of views on behalf of a request: at least as new as its `Consistency-Token` says. */
import type { EntityManager } from '@mikro-orm/postgresql';
import type { FastifyRequest } from 'fastify';
import type { AsOf, Views } from '#views/reader';
import { ViewBehind, ViewsAway } from '#views/replica-error';
import { type ConsistencyToken, MalformedToken, parseToken } from '#views/token';
import { headerOf } from './header.ts';
import { malformed, Problem, unavailable } from './problem.ts';

type ReadBody<T> = (em: EntityManager, asOf: AsOf) => Promise<T>;

/** @throws Problem 400 for a malformed token, 503 where no database shows it or answers. */
export function readViews<T>(request: FastifyRequest, views: Views, body: ReadBody<T>): Promise<T> {
  return readAt(tokenIn(request), views, body);
}

/** As {@link readViews}, with a token of our own. */
export async function readAt<T>(token: ConsistencyToken, views: Views, body: ReadBody<T>): Promise<T> {
  try {
    return await views.read(token, body);
  } catch (error) {
    throw problemOf(error);
  }
}

export function tokenIn(request: FastifyRequest): ConsistencyToken {
  return tokenFrom(headerOf(request, 'consistency-token'));
}

export function tokenFrom(text: string | undefined): ConsistencyToken {
  try {
    return parseToken(text);
  } catch (error) {
    if (error instanceof MalformedToken) throw malformed('Consistency-Token', `is malformed: ${error.message}`);
    throw error;
  }
}

function problemOf(error: unknown): unknown {
  if (error instanceof Problem) return error;
  if (error instanceof ViewBehind) {
    return new Problem(503, 'view-behind', 'What you changed is safe, but cannot be shown yet.', {
      remedy: 'Read again in a moment.',
      retryAfterSeconds: error.retryAfterSeconds,
    });
  }
  return error instanceof ViewsAway ? unavailable('views') : error;
}

/** Whether a view could not answer for the moment, so that its service is asked instead. */
export function isViewAway(error: unknown): boolean {
  return error instanceof Problem && (error.code === 'view-behind' || error.code === 'views-unavailable');
}
