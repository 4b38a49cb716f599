/** Days as timetables write them: "MWF", "TuTh", "TR". */
import { Day } from '#proto/catalog/v1/catalog';

const letters: Record<string, Day> = {
  M: Day.MONDAY,
  Tu: Day.TUESDAY,
  T: Day.TUESDAY,
  W: Day.WEDNESDAY,
  Th: Day.THURSDAY,
  R: Day.THURSDAY,
  F: Day.FRIDAY,
  Sa: Day.SATURDAY,
  S: Day.SATURDAY,
  Su: Day.SUNDAY,
  U: Day.SUNDAY,
};

/** The longer of two that begin alike comes first. */
const LETTERS = 'Tu|Th|Sa|Su|M|T|W|R|F|S|U';

export const DAYS_PATTERN = `^(${LETTERS})+$`;

export function daysOf(text: string): Day[] {
  return (text.match(new RegExp(LETTERS, 'g')) ?? []).flatMap((letter) => letters[letter] ?? []);
}
