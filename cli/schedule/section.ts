import { create } from '@bufbuild/protobuf';
import { type Section, SectionSchema, SectionStatus } from '#proto/catalog/v1/catalog';
import { courseId } from './course.ts';
import { BadRow } from './fault.ts';
import { meetingsOf } from './meeting.ts';

export const sectionColumns = ['subj_course_id', 'sec_code', 'sec_id', 'total_seats', 'meetings'] as const;

/** Written by schools for a section that anybody may join. */
const UNLIMITED_SEATS = 9_999;
const SEATS_MAX = 2_000;
const CODE_CHARACTERS_MAX = 16;

/** One section of a term. The columns `instructors` and `waitlist_seats` may be absent. */
export function sectionOf(termId: string, cells: Record<string, string>): Section {
  const { subj_course_id: course = '', sec_code: code = '', sec_id: number = '', meetings = '' } = cells;
  if (!/^[0-9A-Za-z]{1,16}$/.test(number)) throw new BadRow(`sec_id "${number}" is not a class number`);
  if (code === '' || code.length > CODE_CHARACTERS_MAX)
    throw new BadRow(`sec_code "${code}" cannot be a section's code`);
  const capacity = seatsOf('total_seats', cells);
  return create(SectionSchema, {
    id: `${termId}-${number}`,
    termId,
    courseId: courseId(course),
    code,
    capacity,
    status: capacity === 0 ? SectionStatus.CLOSED : SectionStatus.OPEN,
    waitlistCapacity: cells.waitlist_seats ? seatsOf('waitlist_seats', cells) : 0,
    instructors: (cells.instructors ?? '')
      .split(';')
      .map((name) => name.trim())
      .filter(Boolean),
    meetings: meetingsOf(meetings),
  });
}

function seatsOf(column: string, cells: Record<string, string>): number {
  const text = cells[column] ?? '';
  if (!/^\d{1,6}$/.test(text)) throw new BadRow(`${column} "${text}" is not a number`);
  const seats = Number(text);
  if (seats > SEATS_MAX && seats !== UNLIMITED_SEATS) {
    throw new BadRow(`${column} ${seats} is more than ${SEATS_MAX} and not ${UNLIMITED_SEATS}, which means unlimited`);
  }
  return seats;
}
