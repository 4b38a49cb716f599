import { join } from 'node:path';
import type { Course, Section } from '#proto/catalog/v1/catalog';
import { courseColumns, coursesOf } from './course.ts';
import { BadRow, type Fault } from './fault.ts';
import { type Row, readRows } from './rows.ts';
import { sectionColumns, sectionOf } from './section.ts';

export const COURSES_FILE = 'courses.tsv';
export const SECTIONS_FILE = 'sections.tsv';

/** What a schedule consists of, in the order in which a catalog can take it: no section comes before its course. */
export type ScheduleItem =
  | ({ kind: 'course'; course: Course } & Place)
  | ({ kind: 'section'; section: Section } & Place)
  | ({ kind: 'fault'; reason: string } & Place);

/** Where an item stands in the folder. */
export type Place = Omit<Fault, 'reason'>;

export interface ScheduleOptions {
  termId: string;
  /** Makes courses that only sections name, with so many credits; without it such sections are faults. */
  unlistedCredits?: number;
}

/**
 * Streams the schedule in a folder; the format is described in docs/schedule-format.md. A bad row becomes a fault, the rest is taken.
 * @throws NoSchedule where a file or a column is missing.
 */
export async function* readSchedule(folder: string, options: ScheduleOptions): AsyncGenerator<ScheduleItem> {
  const known: KnownCourses = { taken: new Map(), faulty: new Map() };
  for await (const row of readRows(join(folder, COURSES_FILE), courseColumns)) {
    if ('reason' in row) yield { kind: 'fault', ...row };
    else yield* takeCourses(row, known);
  }
  const numbers = new Map<string, number>();
  for await (const row of readRows(join(folder, SECTIONS_FILE), sectionColumns)) {
    if ('reason' in row) yield { kind: 'fault', ...row };
    else yield* takeSection(row, { known, numbers, options });
  }
}

/** Courses by code, each with the line that named it first. */
interface KnownCourses {
  taken: Map<string, number>;
  faulty: Map<string, number>;
}

function* takeCourses({ line, cells }: Row, known: KnownCourses): Generator<ScheduleItem> {
  try {
    for (const course of coursesOf(cells)) {
      const first = known.taken.get(course.code);
      if (first === undefined) {
        known.taken.set(course.code, line);
        yield { kind: 'course', course, file: COURSES_FILE, line };
      } else {
        yield faultAt(COURSES_FILE, line, `repeats course ${course.code} of line ${first}`);
      }
    }
  } catch (failure) {
    if (!(failure instanceof BadRow)) throw failure;
    known.faulty.set(cells.course_number ?? '', line);
    yield faultAt(COURSES_FILE, line, failure.message);
  }
}

interface Progress {
  known: KnownCourses;
  /** Class numbers, each with the line that named it first. */
  numbers: Map<string, number>;
  options: ScheduleOptions;
}

function* takeSection({ line, cells }: Row, { known, numbers, options }: Progress): Generator<ScheduleItem> {
  const { subj_course_id: code = '', sec_id: number = '' } = cells;
  try {
    const first = numbers.get(number);
    if (first !== undefined) throw new BadRow(`repeats sec_id ${number} of line ${first}`);
    numbers.set(number, line);
    const section = sectionOf(options.termId, cells);
    const place = { file: SECTIONS_FILE, line };
    if (!known.taken.has(code)) yield { kind: 'course', course: unlistedCourse(code, known, options), ...place };
    known.taken.set(code, known.taken.get(code) ?? line);
    yield { kind: 'section', section, ...place };
  } catch (failure) {
    if (!(failure instanceof BadRow)) throw failure;
    yield faultAt(SECTIONS_FILE, line, failure.message);
  }
}

function unlistedCourse(code: string, known: KnownCourses, { unlistedCredits }: ScheduleOptions): Course {
  const faultyLine = known.faulty.get(code);
  if (faultyLine !== undefined)
    throw new BadRow(`its course ${code} was not taken, see ${COURSES_FILE} line ${faultyLine}`);
  if (unlistedCredits === undefined) throw new BadRow(`its course ${code} is not in ${COURSES_FILE}`);
  const [course] = coursesOf({ course_number: code, course_name: code, units: String(unlistedCredits) });
  if (course?.code !== code) throw new BadRow(`subj_course_id "${code}" is not a subject and a number`);
  return course;
}

function faultAt(file: string, line: number, reason: string): ScheduleItem {
  return { kind: 'fault', file, line, reason };
}
