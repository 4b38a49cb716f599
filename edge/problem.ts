/** Answers that are not the one asked for (RFC 9457), thrown anywhere in the edge. problems.ts sends them. */

export const RETRY_AFTER_SECONDS = 1;

export interface FieldFault {
  path: string;
  message: string;
}

export interface ProblemOptions {
  reason?: string;
  remedy?: string;
  fields?: FieldFault[];
  retryAfterSeconds?: number;
}

/**
 * An answer that is not the one asked for. Thrown anywhere in the edge.
 *
 * @example throw new Problem(404, 'not-found', 'There is no such section.');
 */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly options: ProblemOptions;

  constructor(status: number, code: string, sentence: string, options: ProblemOptions = {}) {
    super(sentence);
    this.name = 'Problem';
    this.status = status;
    this.code = code;
    this.options = options;
  }
}

/** What a dependency answered instead of what it was asked: the error, with the name of who did not do it. */
export class DependencyFailure extends Error {
  readonly dependency: string;

  constructor(dependency: string, cause: unknown) {
    super(`${dependency} failed`, { cause });
    this.name = 'DependencyFailure';
    this.dependency = dependency;
  }
}

export function malformed(path: string, message: string): Problem {
  return new Problem(400, 'malformed-request', `${path} ${message}.`, { fields: [{ path, message }] });
}

export function notFound(what = 'such thing'): Problem {
  return new Problem(404, 'not-found', `There is no ${what}.`);
}

export function notPermitted(sentence: string): Problem {
  return new Problem(403, 'not-permitted', sentence);
}

export function unavailable(dependency: string): Problem {
  return new Problem(503, `${dependency}-unavailable`, `What this needs (${dependency}) does not answer right now.`, {
    remedy: 'Try again in a moment.',
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
