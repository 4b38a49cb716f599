/** Calendar days are local: which day it is depends on where. */

/** The ISO date of an instant in a time zone (an IANA name). @throws RangeError where there is no such time zone. */
export function dateIn(timeZone: string, at: Date): string {
  const format = new Intl.DateTimeFormat('en', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}
