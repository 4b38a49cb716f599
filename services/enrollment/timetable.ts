/** Which meetings collide. Times are the campus's local times, so no zone and no clock is needed. */
import { minuteOf } from '#lib/time-of-day';
import { Day, type Meeting } from '#proto/catalog/v1/catalog';

/** A meeting made comparable. `date` is empty for a weekly one. */
export interface Occurrence {
  days: readonly Day[];
  date: string;
  startMinute: number;
  endMinute: number;
  /** Finals take place when weekly meetings are over, so they collide only with dated ones. */
  isFinal: boolean;
}

/** What of these meetings takes place at a known time. */
export function occurrencesOf(meetings: readonly Meeting[]): Occurrence[] {
  return meetings
    .filter(({ startsAt, endsAt, days, date }) => startsAt && endsAt && (date || days.length > 0))
    .map((meeting) => ({
      days: meeting.date ? [dayOf(meeting.date)] : meeting.days,
      date: meeting.date,
      startMinute: minuteOf(meeting.startsAt),
      endMinute: minuteOf(meeting.endsAt),
      isFinal: meeting.kind === 'final',
    }));
}

export function collide(mine: readonly Occurrence[], others: readonly Occurrence[]): boolean {
  return mine.some((one) => others.some((other) => meetAtOnce(one, other)));
}

function meetAtOnce(one: Occurrence, other: Occurrence): boolean {
  if (one.startMinute >= other.endMinute || other.startMinute >= one.endMinute) return false;
  if (one.date && other.date) return one.date === other.date;
  if (one.isFinal || other.isFinal) return false;
  return one.days.some((day) => other.days.includes(day));
}

/** ISO weekday of an ISO date; Day's numbers are ISO's. */
function dayOf(date: string): Day {
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
  return weekday === 0 ? Day.SUNDAY : (weekday as Day); // 1–6 are Monday to Saturday in both
}
