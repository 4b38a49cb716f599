import { Day, type Meeting } from '#proto/catalog/v1/catalog';
import { check, checkDate, checkLength } from './check.ts';

const weekdays = new Set<Day>(Object.values(Day).filter((day) => day !== Day.UNSPECIFIED));

/** A meeting is weekly, dated, or to be arranged. @throws INVALID_ARGUMENT */
export function checkMeeting(sectionId: string, { kind, days, date, startsAt, endsAt, room }: Meeting): void {
  const what = `a meeting of section ${sectionId}`;
  check(kind !== '', `${what} has no kind`);
  checkLength(`the kind of ${what}`, kind);
  checkLength(`the room of ${what}`, room);
  check(new Set(days).size === days.length, `${what} names a day twice`);
  check(
    days.every((day) => weekdays.has(day)),
    `${what} has an unknown day`,
  );
  const isArranged = startsAt !== '' || endsAt !== '';
  const isTimed = isTime(startsAt) && isTime(endsAt) && startsAt < endsAt;
  check(isTimed || !isArranged, `${what} has no times HH:MM, one before the other`);
  const placesInTime = Number(date !== '') + Number(days.length > 0);
  check(placesInTime === Number(isArranged), `${what} must have days or a date with its time, and neither without`);
  if (date !== '') checkDate(`the date of ${what}`, date);
}

function isTime(text: string): boolean {
  return /^([01]\d|2[0-3]):[0-5]\d$/.test(text);
}
