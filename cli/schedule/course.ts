import { create } from '@bufbuild/protobuf';
import { type Course, CourseSchema } from '#proto/catalog/v1/catalog';
import { BadRow } from './fault.ts';

export const courseColumns = ['course_number', 'course_name', 'units', 'description'] as const;

const CREDITS_MAX = 30;
const SEPARATOR = /(\s*(?:\/|,|-|–|\bor\b)\s*)/;
const UNITS_SHAPE = /^#((\s*(,|\/|-|–|—|or|to)\s*)+#)*$/;

/** The courses of one row; more than one where a school lists several under one entry, such as `MATH 220A-B-C`. */
export function coursesOf(cells: Record<string, string>): Course[] {
  const { course_number: number = '', course_name: title = '', units = '', description = '' } = cells;
  const codes = codesOf(number);
  if (codes.length === 0) throw new BadRow(`course_number "${number}" is not a subject and a number`);
  if (title === '') throw new BadRow('course_name is empty');
  const credits = creditsOf(units);
  return codes.map((code) => courseOf({ code, title, description, credits }));
}

function courseOf(course: { code: string; title: string; description: string; credits: number }): Course {
  const [subject = ''] = course.code.split(' ');
  return create(CourseSchema, { ...course, id: courseId(course.code), subject });
}

/** Of a course by what people write: "AAS 10R" is "AAS-10R". */
export function courseId(code: string): string {
  return code.replace(' ', '-');
}

/** Every code that an entry stands for, such as `HIUS 181/281`, `VIS 129A–F` or `EDS/LIGN 119`; none where it cannot be read. */
export function codesOf(entry: string): string[] {
  const shared = /^([A-Z]+(?:\/[A-Z]+)+) (\d+[A-Z]*)$/.exec(entry);
  if (shared) return (shared[1] ?? '').split('/').map((subject) => `${subject} ${shared[2]}`);
  const codes: string[] = [];
  let subject = '';
  let number = '';
  let suffix = '';
  for (const part of entry.split(SEPARATOR).filter((_, index) => index % 2 === 0)) {
    const letters = /^[A-Z]{1,2}$/.test(part) ? part : undefined;
    if (letters && suffix.length === letters.length) {
      codes.push(...suffixesAfter(suffix, letters).map((each) => `${subject} ${number}${each}`));
      suffix = letters;
      continue;
    }
    const code = /^(?:([A-Z]+) )?(\d+) ?([A-Z]*)$/.exec(part);
    if (!code || !(code[1] ?? subject)) return [];
    [subject, number, suffix] = [code[1] ?? subject, code[2] ?? '', code[3] ?? ''];
    codes.push(`${subject} ${number}${suffix}`);
  }
  return codes;
}

/** `A` to `F` stands for B, C, D, E and F; `AL` to `BL` for BL alone. */
function suffixesAfter(from: string, to: string): string[] {
  const letters = Math.max(1, to.charCodeAt(0) - from.charCodeAt(0));
  if (to.length > 1) return [to];
  return Array.from({ length: letters }, (_, index) => String.fromCharCode(to.charCodeAt(0) - letters + 1 + index));
}

/** The smallest of what `units` allows: "4", "2, 4, 6", "1–4", "2 or 4", "4-4-4". */
export function creditsOf(units: string): number {
  const shape = units.replaceAll(/\d+(\.\d+)?/g, '#');
  if (!UNITS_SHAPE.test(shape)) throw new BadRow(units === '' ? 'units is empty' : `units "${units}" cannot be read`);
  const credits = Math.min(...(units.match(/\d+(\.\d+)?/g) ?? []).map(Number));
  if (!Number.isInteger(credits)) throw new BadRow(`units "${units}" is not a whole number of credits`);
  if (credits > CREDITS_MAX) throw new BadRow(`units "${units}" is more than ${CREDITS_MAX}`);
  return credits;
}
