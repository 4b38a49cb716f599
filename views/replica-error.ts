/** What can go wrong with the views' databases, and which errors mean that another database may do better. */
import { codeOf, isAway } from '#lib/database-error';

/** No database shows yet what the token asks for: try again later. */
export class ViewBehind extends Error {
  readonly retryAfterSeconds = 1;

  constructor() {
    super('the views have not reached this point yet');
    this.name = 'ViewBehind';
  }
}

/** None of the databases answers this now: try again later. */
export class ViewsAway extends Error {
  readonly retryAfterSeconds = 2;

  constructor(cause?: unknown) {
    super('the views cannot be read now', { cause });
    this.name = 'ViewsAway';
  }
}

/** The database ended what took too long. */
const TIMEOUT = '57014';
/** A standby ended the query, because it was in the way of what it replays. */
const CONFLICT = '40001';
/** Of this process's connections, or of what a server has (53), none is left for now. */
const POOL_FULL = /timeout exceeded when trying to connect/;
const SERVER_FULL = /^53/;

/** Whether a read that failed so may succeed elsewhere. */
export function isBroken(error: unknown): boolean {
  return codeOf(error) === CONFLICT || isAway(error);
}

/** Whether a read took all its time: another database would not be faster. */
export function isTooSlow(error: unknown): boolean {
  return codeOf(error) === TIMEOUT;
}

/** Whether the database itself is lost, with every read on it; one that is only busy goes on answering those. */
export function isGone(error: unknown): boolean {
  return isAway(error) && !SERVER_FULL.test(codeOf(error)) && !POOL_FULL.test(String(error));
}
