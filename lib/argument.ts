/** What callers get wrong in what they send, said in one way; and shapes that more than one service looks for. */
import { Code, ConnectError } from '@connectrpc/connect';

/** INVALID_ARGUMENT in the words from which the edge makes `fields[]`: the proto's name of the field, and the rule it breaks. */
export function invalid(field: string, rule: string): ConnectError {
  return new ConnectError(`${field}: ${rule}`, Code.InvalidArgument);
}

/** How long a page is: at most `max`, whatever is asked for; `standard` where nothing is. @throws INVALID_ARGUMENT */
export function pageLength(limit: number, { max, standard }: { max: number; standard: number }): number {
  if (limit < 0) throw invalid('limit', 'must not be negative');
  return Math.min(limit || standard, max);
}

/** ISO 4217, as far as letters tell. */
export function isCurrency(code: string): boolean {
  return /^[A-Z]{3}$/.test(code);
}

/** ISO 8601, and a day that exists: there was no year 0. */
export function isDate(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`);
  return /^(?!0000)\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

/** An IANA name that this machine knows. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return name !== '';
  } catch (error) {
    if (error instanceof RangeError) return false; // the only way Intl tells
    throw error;
  }
}
