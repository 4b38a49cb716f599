import { afterAll, beforeAll, expect, test } from 'vitest';
import { changesOf, final, lecture, newCourse, newSection, newTerm } from './catalog.testing.ts';
import { type PlatformUnderTest, startPlatform } from './platform.testing.ts';

let platform: PlatformUnderTest;
const { post, patch, publishedSection, readAfter } = changesOf(() => platform);

beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

test.each<[string, string, object]>([
  ['a field that is not known', 'colour', { colour: 'red' }],
  ['a negative capacity', 'capacity', { capacity: -1 }],
  ['a capacity beyond every hall', 'capacity', { capacity: 3_000_000_000 }],
  ['half a seat', 'capacity', { capacity: 1.5 }],
  ['a number as text', 'capacity', { capacity: '30' }],
  ['a code of two lines', 'code', { code: 'A\n01' }],
  ['a fee in no currency', 'fee.currency', { fee: { amount: 1, currency: 'usd' } }],
  ['a fee beyond all numbers', 'fee.amount', { fee: { amount: 1e300, currency: 'USD' } }],
  ['a day that nobody knows', 'meetings.0.days.0', { meetings: [{ ...lecture, days: ['someday'] }] }],
  ['a day that does not exist', 'meetings.0.date', { meetings: [{ ...final, date: '2026-02-30' }] }],
  ['a time that does not exist', 'meetings.0.endsAt', { meetings: [{ ...lecture, endsAt: '24:00' }] }],
  ['a meeting of no kind', 'meetings.0.kind', { meetings: [{ days: ['monday'] }] }],
  ['a material without quantity', 'materials.0.quantity', { materials: [{ materialId: 'goggles', quantity: 0 }] }],
  ['another id', 'id', { id: 'X-1' }],
  ['another term', 'term', { term: 'X' }],
])('a section is not changed by %s', async (_what, path, change) => {
  const answer = await patch('/v1/sections/NONE-1', change);

  expect(answer.statusCode).toBe(400);
  expect(answer.json().fields).toContainEqual({ path, message: expect.any(String) });
});

test.each<[string, object]>([
  ['a code of blanks', { code: ' ' }],
  ['a meeting on days without time', { meetings: [{ kind: 'lab', days: ['monday'] }] }],
  ['a meeting that ends first', { meetings: [{ ...lecture, endsAt: '09:00' }] }],
  ['a material twice', { materials: Array.from({ length: 2 }, () => ({ materialId: 'goggles', quantity: 1 })) }],
  ['the character that no database keeps', { instructors: ['\u0000'] }],
])('a section is not changed by %s, which only the whole can tell', async (_what, change) => {
  const { url } = await publishedSection();

  const answer = await patch(url, change);

  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({ code: 'malformed-request' });
});

test.each<[string, string, object]>([
  ['a term with an id of more than letters and digits', '/v1/terms', newTerm({ id: 'FA-26' })],
  ['a term that ends before it starts', '/v1/terms', newTerm({ endsOn: '2026-01-01' })],
  ['a term in no time zone', '/v1/terms', newTerm({ timeZone: 'Mars/Olympus' })],
  ['a term in a zone without a name', '/v1/terms', newTerm({ timeZone: '+05:00' })],
  ['a term before the calendar', '/v1/terms', newTerm({ startsOn: '0000-01-01' })],
  ['a term of more credits than are counted', '/v1/terms', newTerm({ creditsMax: 2 ** 31 })],
  ['a course of a credit too many', '/v1/courses', newCourse({ credits: 31 })],
  [
    'a course whose description has a character that no database keeps',
    '/v1/courses',
    newCourse({ description: '\u0000' }),
  ],
  ['a course with an endless description', '/v1/courses', newCourse({ description: 'x'.repeat(10_001) })],
  ['a course without a title', '/v1/courses', newCourse({ title: undefined })],
  ['a section of another term', '/v1/sections', newSection({ term: 'A', courseId: 'CSE-1' }, { id: 'B-1' })],
])('%s is malformed', async (_what, url, payload) => {
  expect((await post(url, payload)).statusCode).toBe(400);
});

test('what is as long as it may be is taken', async () => {
  const long = '🎓'.repeat(100);
  const ofThem = { term: `T${'9'.repeat(15)}`, courseId: `C&.-${'x'.repeat(36)}` };
  await post('/v1/terms', newTerm({ id: ofThem.term, name: long, creditsMax: 1_000 }));
  const texts = { subject: long, code: long, title: long, description: 'é\n'.repeat(5_000) };
  const course = await post('/v1/courses', newCourse({ id: ofThem.courseId, ...texts, credits: 30 }));
  const section = newSection(ofThem, {
    id: `${ofThem.term}-${'8'.repeat(16)}`,
    ...{
      code: long,
      instructors: Array.from({ length: 50 }, () => long),
      capacity: 100_000,
      waitlistCapacity: 100_000,
    },
    meetings: Array.from({ length: 50 }, () => ({ kind: 'x'.repeat(200), room: 'y'.repeat(200) })),
    fee: { amount: 100_000_00, currency: 'USD' },
    materials: Array.from({ length: 50 }, (_, index) => ({ materialId: `${index}`.padEnd(100, 'm'), quantity: 100 })),
  });

  const answer = await post('/v1/sections', section);

  expect([course.statusCode, answer.statusCode]).toEqual([201, 201]);
  expect((await readAfter(course)).json()).toMatchObject({ id: ofThem.courseId, title: long });
  expect((await readAfter(answer)).json()).toMatchObject({ id: section.id, code: long, capacity: 100_000 });
});
