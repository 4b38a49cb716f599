import { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { queryOf } from '#lib/database';
import { freshServiceDatabase } from '#lib/testing';
import { Day, SectionStatus } from '#proto/catalog/v1/catalog';
import { SectionPublishedSchema } from '#proto/catalog/v1/events';
import { SectionSeatsChangedSchema } from '#proto/enrollment/v1/events';
import { entities } from './all.ts';
import { findCourses } from './course.ts';
import { applyBatch, received, told } from './history.testing.ts';
import { projector } from './projector.ts';
import { findSections, type SectionFilter } from './section.ts';
import { searchQuery } from './words.ts';

const SECTIONS = 10_000;
const SUBJECTS = ['BILD', 'CHEM', 'CSE', 'ECON', 'HIST', 'LING', 'MATH', 'PHIL', 'PHYS', 'VIS'];
const TITLES = ['Algorithms', 'Organic Chemistry', 'Linear Algebra', 'Modern History', 'Syntax', 'Ethics', 'Optics'];
const NAMES = ['Noether', 'Turing', 'Curie', 'García', 'Okafor', 'Nguyen', 'Sørensen'];
const WEEKS = [[Day.MONDAY, Day.WEDNESDAY, Day.FRIDAY], [Day.TUESDAY, Day.THURSDAY], [Day.SATURDAY], []];

let pool: pg.Pool;
let orm: MikroORM;

beforeAll(async () => {
  const url = await freshServiceDatabase(projector);
  pool = new pg.Pool({ connectionString: url });
  orm = new MikroORM({ clientUrl: url, entities, ensureDatabase: false });
  const all = Array.from({ length: SECTIONS }, (_, number) => published(number));
  for (let start = 0; start < all.length; start += 500) {
    await applyBatch('catalog', received(all.slice(start, start + 500)), queryOf(pool));
  }
  const counts = Array.from({ length: SECTIONS / 2 }, (_, number) => counted(number * 2));
  await applyBatch('enrollment', received(counts), queryOf(pool));
  await pool.query('analyze');
});
afterAll(async () => {
  await orm.close();
  await pool.end();
});

/** Sections of 2,000 courses; each number decides on all its facts. */
function published(number: number) {
  const subject = SUBJECTS[number % 10] ?? '';
  const code = `${subject} ${Math.floor(number / 10) % 200}`;
  const course = {
    id: code.replace(' ', '-'),
    subject,
    code,
    title: TITLES[(number * 3) % 7] ?? '',
    credits: 2 + (number % 4),
  };
  const days = WEEKS[Math.floor(number / 10) % 4] ?? [];
  const hour = 8 + (Math.floor(number / 40) % 10);
  const times = { startsAt: `${String(hour).padStart(2, '0')}:00`, endsAt: `${String(hour).padStart(2, '0')}:50` };
  const section = {
    ...{
      id: `T1-${100_000 + number}`,
      termId: 'T1',
      courseId: course.id,
      code: `A${String(number % 100).padStart(2, '0')}`,
    },
    ...{
      instructors: [`Ada ${NAMES[number % 7]}`],
      capacity: 30,
      status: number % 50 === 0 ? SectionStatus.CLOSED : SectionStatus.OPEN,
    },
    meetings: [{ kind: 'lecture', days, ...(days.length > 0 && times) }],
  };
  return told(SectionPublishedSchema, { section, course, version: 1n });
}

/** Every second section is counted; of these every third is full. */
function counted(number: number) {
  const seats = { sectionId: `T1-${100_000 + number}`, capacity: 30, taken: number % 3 === 0 ? 30 : 29, version: 1n };
  return told(SectionSeatsChangedSchema, { seats });
}

function find(filter: SectionFilter, limit = 100) {
  return findSections(orm.em.fork(), { termId: 'T1', ...filter }, { limit });
}

test('a code is found as people write it', async () => {
  for (const q of ['CSE 101', 'cse101', 'CSE-101', ' cse  101 ']) {
    const found = await find({ q });
    expect(found.length, q).toBeGreaterThan(0);
    expect(new Set(found.map(({ courseCode }) => courseCode)), q).toEqual(new Set(['CSE 101']));
  }
});

test('titles, instructors and ids are found by the beginnings of their words, without accents', async () => {
  for (const [q, expected] of [
    ['chemis', 'title'],
    ['garcia', 'instructor'],
    ['Nogu', 'nothing'],
    ['103333', 'id'],
  ] as const) {
    const [first] = await find({ q });
    if (expected === 'title') expect(first?.courseTitle).toBe('Organic Chemistry');
    if (expected === 'instructor') expect(first?.instructors).toEqual(['Ada García']);
    if (expected === 'nothing') expect(first).toBeUndefined();
    if (expected === 'id') expect(first?.id).toBe('T1-103333');
  }
});

test('every word of a query must be there', async () => {
  expect(await find({ q: 'cse turing algorithms' })).not.toEqual([]);
  for (const section of await find({ q: 'cse turing' })) {
    expect([section.subject, section.instructors[0]]).toEqual(['CSE', 'Ada Turing']);
  }
});

test('open means open with a seat known to be left', async () => {
  for (const section of await find({ open: true })) {
    expect(section.status).toBe('open');
    expect(section.taken).toBeLessThan(section.capacity);
  }
});

test('no seat is left beyond the capacity that the catalog lowered, nor while others wait', async () => {
  const seats = { capacity: 3, taken: 2, waitlisted: 0, version: 1n };
  const sections = [
    { id: 'T2-FREE', capacity: 3 },
    { id: 'T2-LOWERED', capacity: 2 },
    { id: 'T2-AWAITED', capacity: 3, waitlisted: 1 },
    { id: 'T2-UNCOUNTED', capacity: 3 },
  ];
  const catalog = sections.map(({ id, capacity }) => {
    const section = { id, termId: 'T2', courseId: 'CSE-101', code: id, capacity, status: SectionStatus.OPEN };
    return told(SectionPublishedSchema, { section, version: 1n });
  });
  const counts = sections
    .slice(0, 3)
    .map(({ id, waitlisted = 0 }) =>
      told(SectionSeatsChangedSchema, { seats: { ...seats, sectionId: id, waitlisted } }),
    );
  await applyBatch('catalog', received(catalog), queryOf(pool));
  await applyBatch('enrollment', received(counts), queryOf(pool));

  const all = await find({ termId: 'T2' });
  const open = await find({ termId: 'T2', open: true });

  expect(Object.fromEntries(all.map(({ id, capacity, seatsLeft }) => [id, { capacity, seatsLeft }]))).toEqual({
    'T2-FREE': { capacity: 3, seatsLeft: 1 },
    'T2-LOWERED': { capacity: 2, seatsLeft: 0 },
    'T2-AWAITED': { capacity: 3, seatsLeft: 0 },
    'T2-UNCOUNTED': { capacity: 3, seatsLeft: null },
  });
  expect(open.map(({ id }) => id)).toEqual(['T2-FREE']);
});

test('within days means that no weekly meeting is on another day, and one is arranged', async () => {
  const found = await find({ days: [Day.TUESDAY, Day.THURSDAY, Day.SATURDAY] });
  const weeks = new Set(found.map(({ meetings }) => meetings[0]?.days.join()));
  expect(weeks).toEqual(new Set(['tuesday,thursday', 'saturday']));
});

test('within hours means that every weekly meeting is', async () => {
  const found = await find({ fromMinute: 600, toMinute: 720 });
  const begins = new Set(found.map(({ meetings }) => meetings[0]?.startsAt));
  expect(begins).toEqual(new Set(['10:00', '11:00']));
});

test('pages follow each other in the order of codes, and lose nothing', async () => {
  const seen: string[] = [];
  for (let after: string | undefined; ; ) {
    const page = await findSections(orm.em.fork(), { termId: 'T1', subject: 'CSE', credits: 2 }, { limit: 90, after });
    seen.push(...page.map(({ sortKey }) => sortKey));
    after = page.at(-1)?.sortKey;
    if (page.length < 90) break;
  }
  const { rows } = await pool.query(
    "select count(*)::int as count from sections where subject = 'CSE' and credits = 2",
  );
  expect(seen).toHaveLength(rows[0].count);
  expect(seen).toEqual(seen.toSorted());
  expect(new Set(seen).size).toBe(seen.length);
});

test('courses are found by words and subject', async () => {
  const found = await findCourses(orm.em.fork(), { q: 'optics', subject: 'PHYS' }, { limit: 5 });
  expect(found).toHaveLength(5);
  for (const { title, subject } of found) expect([title, subject]).toEqual(['Optics', 'PHYS']);
});

test('a search among ten thousand sections uses the index of words', async () => {
  const { rows } = await pool.query(
    "explain select * from section_view where term_id = 'T1' and search @@ $1::tsquery order by sort_key limit 20",
    [searchQuery('cse101')],
  );
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('sections_by_word');
});
