import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { toJson } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { type Meeting, type Section, SectionSchema } from '#proto/catalog/v1/catalog';
import { readSchedule } from '../schedule/schedule.ts';
import { buildCampus } from './campus.ts';

const realFolder = join(import.meta.dirname, '../../../shared/data/ucsd-fa24');

const campus = buildCampus();
const courses = new Map(campus.courses.map((course) => [course.id, course]));

/** Overlaps in time, of weekly meetings with weekly ones and of dated ones with dated ones. */
function clash(a: Meeting, b: Meeting): boolean {
  if (a.date !== b.date) return false;
  if (!a.date && !a.days.some((day) => b.days.includes(day))) return false;
  return a.startsAt < b.endsAt && b.startsAt < a.endsAt;
}

/** Every two meetings that share a key at overlapping times, in words. */
function clashesBy(keyOf: (section: Section, meeting: Meeting) => string): string[] {
  const seen = new Map<string, { section: Section; meeting: Meeting }[]>();
  const clashes: string[] = [];
  for (const section of campus.sections) {
    for (const meeting of section.meetings) {
      const key = keyOf(section, meeting);
      const others = seen.get(key) ?? [];
      for (const other of others)
        if (clash(other.meeting, meeting)) clashes.push(`${key}: ${other.section.id}, ${section.id}`);
      seen.set(key, [...others, { section, meeting }]);
    }
  }
  return clashes;
}

test('the campus is as large as a demonstration needs', () => {
  const ofRole = (role: string) => campus.accounts.filter(({ account }) => account?.roles.includes(role));
  expect(campus.courses.length).toBeGreaterThanOrEqual(60);
  expect(campus.sections.length).toBeGreaterThanOrEqual(150);
  expect(campus.materials.length).toBeGreaterThanOrEqual(30);
  expect([ofRole('staff').length, ofRole('instructor').length, ofRole('student').length]).toEqual([1, 40, 500]);
});

test('it is the same campus each time', () => {
  expect(buildCampus()).toEqual(campus);
});

test('ids, addresses and names are unique, and the documented logins exist', () => {
  const accounts = campus.accounts.map(({ account }) => account);
  const lists = [
    accounts.map((account) => account?.id),
    accounts.map((account) => account?.email),
    accounts.map((account) => account?.name),
    campus.courses.map((course) => course.id),
    campus.sections.map((section) => section.id),
    campus.sections.map((section) => `${section.courseId} ${section.code}`),
    campus.materials.map((material) => material.id),
  ];
  for (const list of lists) expect(new Set(list).size).toBe(list.length);
  expect(accounts.map((account) => `${account?.id} ${account?.email}`)).toEqual(
    expect.arrayContaining([
      'staff-01 staff@campus.example',
      'instructor-01 instructor-01@campus.example',
      'instructor-40 instructor-40@campus.example',
      'student-001 student-001@campus.example',
      'student-500 student-500@campus.example',
    ]),
  );
  expect(new Set(campus.accounts.map((account) => account.password))).toEqual(new Set(['registrar-demo']));
});

test('no room and no instructor is in two places at once, in the week or in the finals', () => {
  expect(clashesBy((_section, meeting) => meeting.room)).toEqual([]);
  expect(clashesBy((section) => section.instructors.join())).toEqual([]);
});

test('the search for clashes sees one', () => {
  const [first] = campus.sections;
  const doubled = first?.meetings[0];
  if (!doubled) throw new Error('the first section has a meeting');
  expect(clash(doubled, doubled)).toBe(true);
  expect(clashesBy(() => 'everywhere').length).toBeGreaterThan(0);
});

test('every instructor teaches, and none of a section is left without one', () => {
  const teaching = new Set(campus.sections.flatMap((section) => section.instructors));
  const names = campus.accounts
    .filter(({ account }) => account?.roles.includes('instructor'))
    .map(({ account }) => account?.name);
  expect(teaching).toEqual(new Set(names));
  expect(campus.sections.filter((section) => section.instructors.length !== 1)).toEqual([]);
});

test('two sections that do not clash in the week do not clash in the finals either', () => {
  const [main, final] = [(section: Section) => section.meetings[0], (section: Section) => section.meetings.at(-1)];
  for (const a of campus.sections) {
    for (const b of campus.sections) {
      const [mainA, mainB, finalA, finalB] = [main(a), main(b), final(a), final(b)];
      if (!mainA || !mainB || !finalA || !finalB) throw new Error('every section has a first meeting and a final');
      if (clash(finalA, finalB)) expect(clash(mainA, mainB)).toBe(true);
    }
  }
});

test('every section names a course, known materials, a meeting in the week and one final in the term', () => {
  const materials = new Set(campus.materials.map((material) => material.id));
  for (const section of campus.sections) {
    const json = toJson(SectionSchema, section); // throws where a field cannot be sent
    expect(json, section.id).toMatchObject({ termId: 'SP27', status: 'SECTION_STATUS_OPEN' });
    expect(section.id).toMatch(/^SP27-\d{5}$/);
    expect(courses.has(section.courseId)).toBe(true);
    for (const line of section.materials) expect(materials.has(line.materialId), line.materialId).toBe(true);
    const finals = section.meetings.filter((meeting) => meeting.kind === 'final');
    expect(finals).toHaveLength(1);
    expect((finals[0]?.date ?? '') <= campus.term.endsOn && (finals[0]?.date ?? '') > campus.term.startsOn).toBe(true);
    expect(section.meetings.length).toBeGreaterThan(finals.length);
    for (const meeting of section.meetings) {
      expect([meeting.startsAt, meeting.endsAt].every((time) => /^([01]\d|2[0-3]):[0-5]\d$/.test(time))).toBe(true);
      expect(meeting.startsAt < meeting.endsAt && meeting.room !== '').toBe(true);
      expect(meeting.days.length === 0).toBe(meeting.date !== '');
    }
  }
});

test('there is something of everything that a demonstration wants to show', () => {
  const credits = new Set(campus.courses.map((course) => course.credits));
  expect(credits).toEqual(new Set([1, 2, 3, 4, 5]));
  expect(campus.sections.filter((section) => section.capacity <= 5).length).toBeGreaterThanOrEqual(5);
  expect(campus.sections.some((section) => section.capacity === 1)).toBe(true);
  expect(campus.sections.filter((section) => section.waitlistCapacity > 0).length).toBeGreaterThanOrEqual(20);
  expect(campus.sections.filter((section) => (section.fee?.amount ?? 0n) > 0n).length).toBeGreaterThanOrEqual(20);
  expect(campus.materials.filter((material) => material.stock <= 5).length).toBeGreaterThanOrEqual(3);
  expect(campus.materials.every((material) => (material.price?.amount ?? 0n) > 0n)).toBe(true);
  for (const course of campus.courses) expect(course.description.match(/\.(\s|$)/g)?.length, course.id).toBe(2);
});

test.skipIf(!existsSync(realFolder))(
  'a real schedule imported beside the campus changes none of its courses',
  async () => {
    for await (const item of readSchedule(realFolder, { termId: 'FA24', unlistedCredits: 4 })) {
      if (item.kind === 'course') expect(courses.has(item.course.id), item.course.id).toBe(false);
    }
  },
);
