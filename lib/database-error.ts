/** What an error of a database means: SQLSTATEs of https://www.postgresql.org/docs/18/errcodes-appendix.html, and Node's codes of the network. */

/**
 * A connection that broke (08), a server that goes or is not there yet (57P0), or one that has no room (53). 08P01 is none of these: a
 * server that is well answers it to a message with a NUL in it.
 */
const SERVER_AWAY = /^(08(?!P01)|57P0|53)/;
const NETWORK_AWAY = /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN)$/;
/** pg and pg-pool name these only by their message. */
const CONNECTION_AWAY =
  /query read timeout|connection timeout|connection terminated|timeout exceeded when trying to connect|not queryable/i;

/** The error's SQLSTATE, or Node's code; empty where it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** Whether the database itself cannot be asked now, be it starting, ending or out of reach: later, or elsewhere, the same may succeed. */
export function isAway(error: unknown): boolean {
  const code = codeOf(error);
  if (SERVER_AWAY.test(code) || NETWORK_AWAY.test(code)) return true;
  return error instanceof Error && CONNECTION_AWAY.test(error.message);
}
