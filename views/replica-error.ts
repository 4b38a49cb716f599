/** What can go wrong with the views' databases, and which errors mean that another database may do better. */

/** No database shows yet what the token asks for: try again later. */
export class ViewBehind extends Error {
  readonly retryAfterSeconds = 1;

  constructor() {
    super('the views have not reached this point yet');
    this.name = 'ViewBehind';
  }
}

/** None of the databases can be read now: try again later. */
export class ViewsAway extends Error {
  readonly retryAfterSeconds = 2;

  constructor(cause?: unknown) {
    super('the views cannot be read now', { cause });
    this.name = 'ViewsAway';
  }
}

/** SQLSTATEs of a server that goes, or is not there yet: https://www.postgresql.org/docs/18/errcodes-appendix.html */
const SERVER_GONE = /^(08...|57P0[1-3]|53300)$/;
const NETWORK_GONE = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
/** A standby ended the query, because it was in the way of what it replays. */
const CONFLICT = '40001';
/** pg and pg-pool name these only by their message. */
const BROKEN_CONNECTION =
  /query read timeout|connection terminated|timeout exceeded when trying to connect|not queryable/i;

/** Whether a read that failed so may succeed elsewhere. */
export function isBroken(error: unknown): boolean {
  return isConflict(error) || isGone(error);
}

/** Whether the database itself is in trouble, not just this read. */
export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  if (SERVER_GONE.test(code) || NETWORK_GONE.test(code)) return true;
  return error instanceof Error && BROKEN_CONNECTION.test(error.message);
}

function isConflict(error: unknown): boolean {
  return codeOf(error) === CONFLICT;
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
