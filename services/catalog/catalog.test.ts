import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalOf } from '#lib/refusal';
import { type ServiceUnderTest, startForTest, tokenOf } from '#lib/testing';
import { CourseSchema, Day, SectionSchema, SectionStatus, TermSchema } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { EventLogService } from '#proto/eventlog/v1/service';
import { catalog } from './catalog.ts';

type Changes = Omit<MessageInitShape<typeof SectionSchema>, '$typeName' | '$unknown'>;

let service: ServiceUnderTest;
let system: ReturnType<typeof service.client<typeof CatalogService>>;
let made = 0;

beforeAll(async () => {
  service = await startForTest(catalog);
  system = service.client(CatalogService);
});
afterAll(() => service.stop());

function termOf(changes: MessageInitShape<typeof TermSchema> = {}) {
  const base = {
    id: `T${++made}`,
    name: 'Fall',
    timeZone: 'America/Chicago',
    startsOn: '2026-08-24',
    endsOn: '2026-12-11',
  };
  return create(TermSchema, { ...base, creditsMax: 18, ...changes });
}

function courseOf(changes: MessageInitShape<typeof CourseSchema> = {}) {
  const base = {
    id: `CSE-${++made}`,
    subject: 'CSE',
    code: `CSE ${made}`,
    title: 'Data',
    description: 'About it.',
    credits: 4,
  };
  return create(CourseSchema, { ...base, ...changes });
}

function sectionOf(termId: string, courseId: string, changes: Changes = {}) {
  const lecture = {
    kind: 'lecture',
    days: [Day.MONDAY, Day.FRIDAY],
    startsAt: '10:00',
    endsAt: '10:50',
    room: 'Hall 1',
  };
  const final = { kind: 'final', date: '2026-12-10', startsAt: '08:00', endsAt: '10:00' };
  return create(SectionSchema, {
    ...{ id: `${termId}-${10_000 + ++made}`, termId, courseId, code: 'A01', instructors: ['Ada Obi', 'Li Wei'] },
    ...{ meetings: [lecture, final, { kind: 'lab' }], capacity: 30, waitlistCapacity: 5, status: SectionStatus.OPEN },
    ...{ fee: { amount: 2_500n, currency: 'USD' }, materials: [{ materialId: 'goggles', quantity: 2 }] },
    ...changes,
  });
}

function malformed(fault: string) {
  return { code: Code.InvalidArgument, message: expect.stringContaining(fault) };
}

/** A term with one course and one section of it, stored. */
async function published() {
  const [term, course] = [termOf(), courseOf()];
  const section = sectionOf(term.id, course.id);
  await system.putTerms({ terms: [term] });
  await system.putCourses({ courses: [course] });
  await system.putSections({ sections: [section] });
  return { term, course, section };
}

async function eventsAbout(subject: string) {
  const { events } = await service.client(EventLogService).readEvents({ subject });
  return events.map((event) => ({ type: event.type.replace(/.*\./, ''), data: JSON.parse(event.json) }));
}

test('what was put is answered whole', async () => {
  const { term, course, section } = await published();
  expect((await system.getTerm({ termId: term.id })).term).toEqual(term);
  expect((await system.getCourse({ courseId: course.id })).course).toEqual(course);
  expect(await system.getSection({ sectionId: section.id })).toMatchObject({ section, course });
});

test('a section without fee, meetings, instructors and materials comes back without them', async () => {
  const { term, course } = await published();
  const bare = sectionOf(term.id, course.id, { instructors: [], meetings: [], materials: [] });
  delete bare.fee;
  await system.putSections({ sections: [bare] });
  expect((await system.getSection({ sectionId: bare.id })).section).toEqual(bare);
  expect((await system.putSections({ sections: [bare] })).counts).toMatchObject({ unchanged: 1 });
});

test('putting the same again changes nothing and tells nothing', async () => {
  const { term, course, section } = await published();
  const head = () => service.parts.head.position;
  const before = head();
  const nothing = { created: 0, changed: 0, unchanged: 1 };
  expect((await system.putTerms({ terms: [term] })).counts).toMatchObject(nothing);
  expect((await system.putCourses({ courses: [course] })).counts).toMatchObject(nothing);
  expect((await system.putSections({ sections: [section] })).counts).toMatchObject(nothing);
  expect(head()).toBe(before);
});

test('a change is told once, with the whole section, its course and a higher version', async () => {
  const { course, section } = await published();
  section.capacity = 12;
  const { counts } = await system.putSections({ sections: [section, sectionOf(section.termId, course.id)] });
  expect(counts).toMatchObject({ created: 1, changed: 1, unchanged: 0 });
  const [first, second, ...more] = await eventsAbout(section.id);
  expect(more).toEqual([]);
  expect(first).toMatchObject({ type: 'SectionPublished', data: { version: '1', section: { capacity: 30 } } });
  expect(second?.data).toMatchObject({ version: '2', section: { capacity: 12 }, course: { id: course.id } });
});

test('a course that changes is told again with each of its sections', async () => {
  const { course, section } = await published();
  course.credits = 2;
  await system.putCourses({ courses: [course] });
  expect((await eventsAbout(course.id)).map((event) => event.data.version)).toEqual(['1', '2']);
  expect((await eventsAbout(section.id)).at(-1)?.data).toMatchObject({ version: '2', course: { credits: 2 } });
});

test('a dry run counts and leaves everything as it is, also where the term and the course do not exist yet', async () => {
  const { course, section } = await published();
  const strangers = sectionOf('NOTERM', 'NO-COURSE');
  section.capacity = 1;
  const answer = await system.putSections({ sections: [section, strangers], dryRun: true });
  expect(answer.counts).toMatchObject({ created: 1, changed: 1, unchanged: 0 });
  course.title = 'Changed';
  expect((await system.putCourses({ courses: [course], dryRun: true })).counts).toMatchObject({ changed: 1 });
  const stored = await system.getSection({ sectionId: section.id });
  expect(stored).toMatchObject({ section: { capacity: 30 }, course: { title: 'Data' } });
  expect(await eventsAbout(section.id)).toHaveLength(1);
});

test('a section of an unknown course or term is refused, and nothing of its batch is taken', async () => {
  const { term, course } = await published();
  const good = sectionOf(term.id, course.id);
  const lost = await system.putSections({ sections: [good, sectionOf(term.id, 'NO-COURSE')] }).catch(refusalOf);
  expect(lost).toMatchObject({ reason: 'unknown-course' });
  const timeless = await system.putSections({ sections: [good, sectionOf('NOTERM', course.id)] }).catch(refusalOf);
  expect(timeless).toMatchObject({ reason: 'unknown-term' });
  await expect(system.getSection({ sectionId: good.id })).rejects.toMatchObject({ code: Code.NotFound });
});

test('two importers that put the same at once make it once', async () => {
  const { term, course } = await published();
  const sections = Array.from({ length: 50 }, () => sectionOf(term.id, course.id));
  const answers = await Promise.all([1, 2, 3, 4].map(() => system.putSections({ sections })));
  expect(answers.map((answer) => answer.counts?.created).sort()).toEqual([0, 0, 0, 50]);
});

test.each<[string, string, Changes]>([
  ['an id that is not of its term', '<term>-<class number>', { id: 'OTHER-10001' }],
  ['no code', 'the code', { code: ' ' }],
  ['a negative capacity', '-1 seats', { capacity: -1 }],
  ['a negative waitlist', 'waitlist of -1', { waitlistCapacity: -1 }],
  ['a fee below zero', 'not money', { fee: { amount: -1n, currency: 'USD' } }],
  ['a fee in no currency', 'not money', { fee: { amount: 1n, currency: '' } }],
  ['no status', 'must have a status', { status: SectionStatus.UNSPECIFIED }],
  ['a material without quantity', 'no id or quantity', { materials: [{ materialId: 'goggles', quantity: 0 }] }],
  [
    'a material twice',
    'names a material twice',
    {
      materials: [
        { materialId: 'a', quantity: 1 },
        { materialId: 'a', quantity: 1 },
      ],
    },
  ],
  ['a material with a long id', 'at most 200', { materials: [{ materialId: 'x'.repeat(201), quantity: 1 }] }],
  ['a meeting of a long kind', 'at most 200', { meetings: [{ kind: 'x'.repeat(201) }] }],
  ['a meeting in a long room', 'at most 200', { meetings: [{ kind: 'lab', room: 'x'.repeat(201) }] }],
  ['a meeting without kind', 'has no kind', { meetings: [{ kind: '' }] }],
  ['a meeting with a day but no time', 'neither without', { meetings: [{ kind: 'lecture', days: [Day.MONDAY] }] }],
  [
    'a meeting with a time but no day',
    'must have days or a date',
    { meetings: [{ kind: 'lecture', startsAt: '08:00', endsAt: '09:00' }] },
  ],
  [
    'a meeting that ends first',
    'one before the other',
    { meetings: [{ kind: 'lab', days: [Day.MONDAY], startsAt: '09:00', endsAt: '08:00' }] },
  ],
  [
    'a meeting at no time of day',
    'HH:MM',
    { meetings: [{ kind: 'lab', days: [Day.MONDAY], startsAt: '9:00', endsAt: '9:50' }] },
  ],
  [
    'a day twice',
    'names a day twice',
    { meetings: [{ kind: 'lab', days: [1, 1], startsAt: '08:00', endsAt: '09:00' }] },
  ],
  [
    'an impossible date',
    'not a date',
    { meetings: [{ kind: 'final', date: '2026-02-30', startsAt: '08:00', endsAt: '09:00' }] },
  ],
])('a section with %s is malformed', async (_what, fault, changes) => {
  const { term, course } = await published();
  const sections = [sectionOf(term.id, course.id, changes)];
  await expect(system.putSections({ sections })).rejects.toMatchObject(malformed(fault));
});

test.each<[string, string, MessageInitShape<typeof TermSchema>]>([
  ['no time zone', 'no such time zone', { timeZone: '' }],
  ['a time zone nobody has', 'no such time zone', { timeZone: 'Mars/Olympus' }],
  ['an impossible first day', 'the first day', { startsOn: '2026-13-01' }],
  ['its last day first', 'ends before it starts', { endsOn: '2026-01-01' }],
  ['no credits', 'at least one credit', { creditsMax: 0 }],
])('a term with %s is malformed', async (_what, fault, changes) => {
  await expect(system.putTerms({ terms: [termOf(changes)] })).rejects.toMatchObject(malformed(fault));
});

test('a course with negative credits, a repeated id and a batch that is too large are malformed', async () => {
  const course = courseOf();
  const many = Array.from({ length: 501 }, () => courseOf());
  for (const courses of [[courseOf({ credits: -1 })], [course, course], many]) {
    await expect(system.putCourses({ courses })).rejects.toMatchObject({ code: Code.InvalidArgument });
  }
});

test('staff may put, students may read', async () => {
  const asStaff = service.client(CatalogService, await tokenOf('staff-01', 'staff'));
  const asStudent = service.client(CatalogService, await tokenOf('anna', 'student'));
  const course = courseOf();
  await expect(asStudent.putCourses({ courses: [course] })).rejects.toMatchObject({ code: Code.PermissionDenied });
  await expect(asStudent.putTerms({ terms: [termOf()] })).rejects.toMatchObject({ code: Code.PermissionDenied });
  await expect(asStudent.putSections({ sections: [] })).rejects.toMatchObject({ code: Code.PermissionDenied });
  await asStaff.putCourses({ courses: [course] });
  expect((await asStudent.getCourse({ courseId: course.id })).course).toEqual(course);
});
