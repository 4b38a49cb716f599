import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { type Course, Day, type Section, SectionStatus } from '#proto/catalog/v1/catalog';
import { type Fault, NoSchedule } from './fault.ts';
import { readSchedule } from './schedule.ts';

const fixtures = join(import.meta.dirname, 'fixtures');
const realFolder = join(import.meta.dirname, '../../../shared/data/ucsd-fa24');
const COURSE_HEADER = 'course_number\tcourse_name\tunits\tdescription\n';
const SECTION_HEADER = 'subj_course_id\tsec_code\tsec_id\ttotal_seats\tmeetings\n';

let folder: string | undefined;
afterEach(async () => {
  if (folder) await rm(folder, { recursive: true });
  folder = undefined;
});

async function read(from: string, options: { unlistedCredits?: number } = {}) {
  const courses: Course[] = [];
  const sections: Section[] = [];
  const faults: Fault[] = [];
  for await (const item of readSchedule(from, { termId: 'FA24', ...options })) {
    if (item.kind === 'course') courses.push(item.course);
    else if (item.kind === 'section') sections.push(item.section);
    else faults.push(item);
  }
  return { courses, sections, faults };
}

/** Reads a schedule that is only of this test. */
async function readText(courses: string, sections: string, options: { unlistedCredits?: number } = {}) {
  folder = await mkdtemp(join(tmpdir(), 'registrar-schedule-'));
  await writeFile(join(folder, 'courses.tsv'), courses);
  await writeFile(join(folder, 'sections.tsv'), sections);
  return read(folder, options);
}

describe('the fixtures, which have every kind of dirt', () => {
  test('every good course is taken, with the smallest of its units and literal quotes', async () => {
    const { courses } = await read(fixtures);
    expect(courses.map((course) => `${course.id} ${course.credits}`)).toEqual([
      'HIST-101 4',
      'HIST-195 2',
      'CSE-11 1',
      'CSE-20A 4',
      'CSE-20B 4',
      'CSE-20C 4',
      'CSE-90 0',
      'CSE-190 0',
      'CSE-184 4',
      'MATH-184 4',
    ]);
    expect(courses[0]).toMatchObject({ code: 'HIST 101', subject: 'HIST', title: 'The "Long" Nineteenth Century' });
  });

  test('every good section is taken, with its meetings, seats and status', async () => {
    const { sections } = await read(fixtures);
    const [history, reading, programming, sequence, bare] = sections;
    expect(sections.map((section) => section.id)).toEqual(
      ['100001', '100002', '100003', '100004', '100005', '100006', '100028'].map((number) => `FA24-${number}`),
    );
    expect(history).toMatchObject({ termId: 'FA24', courseId: 'HIST-101', code: 'A01', capacity: 34 });
    expect(history?.meetings).toMatchObject([
      { kind: 'lecture', days: [Day.TUESDAY, Day.THURSDAY], startsAt: '16:00', endsAt: '17:20', room: 'HALL R05' },
      { kind: 'discussion', days: [Day.WEDNESDAY], startsAt: '09:00', endsAt: '09:50' },
      { kind: 'midterm', days: [], date: '2024-10-30', startsAt: '18:00', room: '' },
      { kind: 'final', days: [], date: '2024-12-12', startsAt: '15:00', endsAt: '17:59' },
    ]);
    expect(reading).toMatchObject({ capacity: 9_999, status: SectionStatus.OPEN });
    expect(reading?.meetings).toMatchObject([
      { kind: 'independent-study', days: [], date: '', startsAt: '', endsAt: '', room: '' },
    ]);
    expect(programming).toMatchObject({ capacity: 0, status: SectionStatus.CLOSED });
    expect(programming?.meetings[1]?.days).toEqual([Day.SATURDAY, Day.SUNDAY]);
    expect(sequence?.meetings).toMatchObject([{ kind: 'studio', days: [], startsAt: '', room: 'STUDIO, NORTH WING' }]);
    expect(bare).toMatchObject({ courseId: 'CSE-190', capacity: 2_000, meetings: [] });
  });

  test('every bad row is named by file, line and reason, and nothing else is', async () => {
    const { faults } = await read(fixtures);
    expect(faults.map((fault) => `${fault.file}:${fault.line}: ${fault.reason}`)).toEqual([
      'courses.tsv:8: units "2.5" is not a whole number of credits',
      'courses.tsv:9: units is empty',
      'courses.tsv:10: units "4 plus" cannot be read',
      'courses.tsv:11: course_number "Electives" is not a subject and a number',
      'courses.tsv:12: repeats course HIST 101 of line 2',
      'courses.tsv:13: 3 columns instead of 5',
      'courses.tsv:14: course_name is empty',
      'courses.tsv:15: units "99" is more than 30',
      'sections.tsv:8: repeats sec_id 100001 of line 2',
      'sections.tsv:9: its course PHYS 1 is not in courses.tsv',
      'sections.tsv:10: its course LANG 1A was not taken, see courses.tsv line 8',
      'sections.tsv:11: total_seats 9998 is more than 2000 and not 9999, which means unlimited',
      'sections.tsv:12: total_seats 2001 is more than 2000 and not 9999, which means unlimited',
      'sections.tsv:13: total_seats "many" is not a number',
      'sections.tsv:14: meeting "LE,,8:00 - 8:50,HALL 1" has a time but no day',
      'sections.tsv:15: days "TX" cannot be read',
      'sections.tsv:16: days "MWM" cannot be read',
      'sections.tsv:17: meeting type "XX" is unknown',
      'sections.tsv:18: meeting "LE,M,9:00 - 8:50,HALL 1" ends before it starts',
      'sections.tsv:19: time "25:00 - 26:00" is not START - END',
      'sections.tsv:20: date "2024-02-30" does not exist',
      'sections.tsv:21: meeting "LE,M" is not TYPE,DAYS or DATE,START - END,ROOM',
      'sections.tsv:22: sec_id "1000-23" is not a class number',
      'sections.tsv:23: sec_code "" cannot be a section\'s code',
      'sections.tsv:24: 4 columns instead of 5',
      'sections.tsv:25: meeting "LE,N/A,8:00 - 8:50,HALL 1" has a time but no day',
      'sections.tsv:27: characters that are not UTF-8',
    ]);
  });
});

test('a course that only sections name is made once where the reader is told its credits', async () => {
  const sections = `${SECTION_HEADER}PHYS 1\tA\t1\t5\t\nPHYS 1\tB\t2\t5\t\nphys\tC\t3\t5\t\n`;
  const { courses, faults } = await readText(COURSE_HEADER, sections, { unlistedCredits: 4 });
  expect(courses).toMatchObject([{ id: 'PHYS-1', code: 'PHYS 1', title: 'PHYS 1', credits: 4 }]);
  expect(faults).toMatchObject([{ line: 4, reason: expect.stringContaining('"phys"') }]);
});

test('a course whose own row is bad is not made up from its sections', async () => {
  const sections = `${SECTION_HEADER}PHYS 1\tA\t1\t5\t\n`;
  const { courses } = await readText(`${COURSE_HEADER}PHYS 1\tWaves\t2.5\t\n`, sections, { unlistedCredits: 4 });
  expect(courses).toEqual([]);
});

test('instructors and waitlist seats are read where a school gives them; order of columns, BOM and CRLF do not matter', async () => {
  const header = 'waitlist_seats\tinstructors\tsec_id\tsec_code\tsubj_course_id\ttotal_seats\tmeetings\r\n';
  const sections = `\uFEFF${header}7\tAda Obi; Li Wei\t1\tA\tPHYS 1\t5\t\r\n`;
  const answer = await readText(`${COURSE_HEADER}PHYS 1\tWaves\t4\t\n`, sections);
  expect(answer.faults).toEqual([]);
  expect(answer.sections).toMatchObject([{ waitlistCapacity: 7, instructors: ['Ada Obi', 'Li Wei'], capacity: 5 }]);
});

test('a line without end is reported instead of filling the memory', async () => {
  const sections = `${SECTION_HEADER}PHYS 1\tA\t1\t5\t\nPHYS 1\tB\t2\t5\t${'x'.repeat(100_000)}\n`;
  const { sections: taken, faults } = await readText(`${COURSE_HEADER}PHYS 1\tWaves\t4\t\n`, sections);
  expect(taken).toHaveLength(1);
  expect(faults).toMatchObject([{ line: 3, reason: expect.stringContaining('nothing from here on was read') }]);
});

test('a folder without the files or their columns is no schedule', async () => {
  await expect(read(join(fixtures, 'nowhere'))).rejects.toThrow(NoSchedule);
  await expect(readText('course_number\tunits\n', SECTION_HEADER)).rejects.toThrow(
    'lacks the column course_name, description',
  );
});

test('reading can stop early without reading the rest', async () => {
  for await (const item of readSchedule(fixtures, { termId: 'FA24' })) {
    expect(item.kind).toBe('course');
    break;
  }
});

describe.skipIf(!existsSync(realFolder))('a real schedule of 8,716 sections', () => {
  test('every row is either taken or reported, in exact numbers', async () => {
    const { courses, sections, faults } = await read(realFolder);
    const count = (file: string, reason: RegExp) =>
      faults.filter((fault) => fault.file === file && reason.test(fault.reason)).length;
    expect([courses.length, sections.length]).toEqual([6_912, 7_326]);
    expect(count('courses.tsv', /^repeats course/)).toBe(117);
    expect(count('courses.tsv', /not a whole number/)).toBe(66);
    expect(count('courses.tsv', /units is empty/)).toBe(5);
    expect(count('courses.tsv', /not a subject and a number/)).toBe(8);
    expect(count('sections.tsv', /^repeats sec_id/)).toBe(28);
    expect(count('sections.tsv', /is not in courses.tsv/)).toBe(1_235);
    expect(count('sections.tsv', /was not taken, see courses.tsv/)).toBe(122);
    expect(count('sections.tsv', /no day/)).toBe(4);
    expect(count('sections.tsv', /9998 is more/)).toBe(1);
    expect(faults).toHaveLength(196 + 1_390);
    expect(sections.length + faults.filter((fault) => fault.file === 'sections.tsv').length).toBe(8_716);
  });

  test('told the credits of unlisted courses, it loses only rows that are bad themselves', async () => {
    const { sections, faults } = await read(realFolder, { unlistedCredits: 4 });
    expect(sections).toHaveLength(7_326 + 1_235);
    expect(faults.filter((fault) => fault.reason.includes('not in courses.tsv'))).toEqual([]);
  });
});
