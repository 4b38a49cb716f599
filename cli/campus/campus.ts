import { create } from '@bufbuild/protobuf';
import type { TuitionRate } from '#proto/billing/v1/billing';
import { type Material, MaterialSchema } from '#proto/bookstore/v1/material';
import {
  type Course,
  CourseSchema,
  type Section,
  SectionSchema,
  SectionStatus,
  type Term,
} from '#proto/catalog/v1/catalog';
import type { NewAccount } from '#proto/identity/v1/service';
import { instructors, staff, students } from './people.ts';
import type { Use } from './rooms.ts';
import { readTable } from './tables.ts';
import { CURRENCY, term, tuitionRate } from './term.ts';
import { Diary, finalMeeting, mainPatterns, type Pattern, sidePatterns, weeklyMeeting } from './timetable.ts';

const FIRST_CLASS_NUMBER = 10_001;
const subjects = 'MTH STA CSC PHY CHM BIO ENG HIS PHI ECO PSY SOC ART MSC SPA EGR'.split(' ');
/** Subjects that need a third instructor. */
const largeSubjects = 'MTH CSC CHM BIO ENG HIS ECO PSY'.split(' ');
const courseColumns = ['course', 'title', 'credits', 'format', 'seats', 'fee', 'materials', 'description'] as const;

type CourseRow = Record<(typeof courseColumns)[number], string>;

/** Everything the demo campus consists of. */
export interface Campus {
  accounts: NewAccount[];
  term: Term;
  courses: Course[];
  sections: Section[];
  materials: Material[];
  tuitionRate: TuitionRate;
}

/** Builds the demo campus: the same one each time. */
export function buildCampus(): Campus {
  const rows = readTable('courses.tsv', courseColumns);
  return {
    accounts: [staff, ...instructors, ...students],
    term,
    courses: rows.map(courseOf),
    sections: sectionsOf(rows),
    materials: readTable('materials.tsv', ['material', 'name', 'price', 'stock']).map(
      ({ material, name, price, stock }) =>
        create(MaterialSchema, {
          id: material,
          name,
          price: { amount: BigInt(price), currency: CURRENCY },
          stock: Number(stock),
        }),
    ),
    tuitionRate,
  };
}

function courseOf({ course, title, credits, description }: CourseRow): Course {
  const [subject = ''] = course.split(' ');
  return create(CourseSchema, {
    id: course.replace(' ', '-'),
    subject,
    code: course,
    title,
    description,
    credits: Number(credits),
  });
}

function sectionsOf(rows: CourseRow[]): Section[] {
  const diary = new Diary();
  const teaching = new Map<string, number>();
  const sections: Section[] = [];
  for (const row of rows) {
    for (const [index, seats] of row.seats.split(', ').entries()) {
      const number = FIRST_CLASS_NUMBER + sections.length;
      const section = sectionOf(row, { seats, number, code: `${String.fromCharCode(65 + index)}01` });
      const people = teachersOf(row.course, teaching);
      const teacher = meet(section, { row, people, diary, turn: sections.length });
      teaching.set(teacher, (teaching.get(teacher) ?? 0) + 1);
      section.instructors = [teacher];
      sections.push(section);
    }
  }
  return sections;
}

interface Identity {
  /** `capacity` or `capacity+waitlist`. */
  seats: string;
  number: number;
  code: string;
}

function sectionOf(row: CourseRow, { seats, number, code }: Identity): Section {
  const [capacity, waitlistCapacity = 0] = seats.split('+').map(Number);
  return create(SectionSchema, {
    id: `${term.id}-${number}`,
    termId: term.id,
    courseId: row.course.replace(' ', '-'),
    code,
    capacity,
    waitlistCapacity,
    fee: { amount: BigInt(row.fee), currency: CURRENCY },
    materials: row.materials.split('; ').filter(isListed).map(lineOf),
    status: SectionStatus.OPEN,
  });
}

function isListed(material: string): boolean {
  return material !== '-';
}

function lineOf(material: string): { materialId: string; quantity: number } {
  const [materialId, quantity = '1'] = material.split('*');
  return { materialId: materialId ?? '', quantity: Number(quantity) };
}

/** Who could teach a course, the least busy first. */
function teachersOf(course: string, teaching: Map<string, number>): string[] {
  const [subject] = course.split(' ');
  return instructors
    .filter((_, index) => [...subjects, ...subjects, ...largeSubjects][index] === subject)
    .map((instructor) => instructor.account?.name ?? '')
    .sort((a, b) => (teaching.get(a) ?? 0) - (teaching.get(b) ?? 0));
}

interface Placement {
  row: CourseRow;
  people: string[];
  diary: Diary;
  turn: number;
}

/** Gives a section its meetings and answers who teaches it. */
function meet(section: Section, { row, people, diary, turn }: Placement): string {
  const [main = '', side] = row.format.split('+');
  const use = useOf(main);
  const seats = section.capacity;
  const booking = diary.book(rotate(mainPatterns(Number(row.credits), use), turn * 5), people, { use, seats });
  section.meetings.push(weeklyMeeting(use === 'classroom' ? main : 'studio', booking));
  if (side) {
    const sideUse = useOf(side);
    const second = diary.book(rotate(sidePatterns(sideUse), turn * 3), [booking.person], { use: sideUse, seats });
    section.meetings.push(weeklyMeeting(sideUse === 'classroom' ? side : 'lab', second));
  }
  section.meetings.push(finalMeeting(booking));
  return booking.person;
}

/** Lectures, seminars and discussions take place in classrooms; every other format is named after its room. */
function useOf(format: string): Use {
  switch (format) {
    case 'computer-lab':
    case 'science-lab':
    case 'workshop':
    case 'art-studio':
    case 'music-studio':
      return format;
    default:
      return 'classroom';
  }
}

/** Begins somewhere else each time, so that the week fills evenly. */
function rotate(patterns: Pattern[], by: number): Pattern[] {
  const start = by % patterns.length;
  return [...patterns.slice(start), ...patterns.slice(0, start)];
}
