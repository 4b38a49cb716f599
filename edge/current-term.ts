/** Which term people mean when they name none. */
import { dateIn } from '#lib/local-date';
import type { TermView } from '#views/term';

type Term = Pick<TermView, 'timeZone' | 'endsOn'>;

/** The one that runs by the campus's own date, else the next one, else the last one. @param terms by their first day. */
export function currentTerm<T extends Term>(terms: readonly T[], now: Date): T | undefined {
  return terms.find(({ timeZone, endsOn }) => dateIn(timeZone, now) <= endsOn) ?? terms.at(-1);
}
