import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { SectionStatus } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { changesOf, fee, final, lecture, newCourse, newSection, newTerm, staff } from './catalog.testing.ts';
import { type Person, type PlatformUnderTest, startPlatform } from './platform.testing.ts';

let platform: PlatformUnderTest;
const { post, patch, published, publishedSection, readAfter } = changesOf(() => platform);

beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

const student: Person = { id: 'anna', roles: ['student'] };

test('staff add a term, a course and a section, and everybody finds it', async () => {
  const term = newTerm();
  const course = newCourse({ title: `Compilers ${randomUUID()}`, description: 'Trees,\nmostly.' });
  const ofThem = { term: term.id, courseId: course.id };
  const section = newSection(ofThem, { instructors: ['Ada Obi'], meetings: [lecture, final], fee });

  const termAnswer = await post('/v1/terms', term);
  const courseAnswer = await post('/v1/courses', course);
  const sectionAnswer = await post('/v1/sections', section);

  expect([termAnswer, courseAnswer, sectionAnswer].map(({ statusCode }) => statusCode)).toEqual([201, 201, 201]);
  expect(termAnswer.json()).toEqual(term);
  expect((await readAfter(termAnswer)).json()).toEqual(term);
  expect(courseAnswer.json()).toEqual(course);
  expect((await readAfter(courseAnswer)).json()).toEqual(course);
  const seen = (await readAfter(sectionAnswer)).json();
  expect(seen).toMatchObject({ term: term.id, fee, instructors: ['Ada Obi'] });
  expect(seen.meetings).toEqual([lecture, { ...final, days: [], room: '' }]);
  const found = await readAfter(sectionAnswer, `/v1/sections?term=${term.id}&q=${encodeURIComponent('compilers obi')}`);
  expect(found.json().items).toMatchObject([{ id: section.id, status: 'open', capacity: 30 }]);
});

test('a section is answered with its course, its standards and what only staff need', async () => {
  const ofThem = await published();
  const section = newSection(ofThem, {
    meetings: [final, { kind: 'lab' }],
    materials: [{ materialId: 'goggles', quantity: 2 }],
  });

  const answer = await post('/v1/sections', section);

  expect(answer.json()).toEqual({
    id: section.id,
    term: ofThem.term,
    course: { id: ofThem.courseId, code: expect.stringMatching(/^CSE /), title: 'Compilers', credits: 4 },
    code: 'A01',
    instructors: [],
    meetings: [
      { ...final, days: [], room: '' },
      { kind: 'lab', days: [], startsAt: null, endsAt: null, room: '' },
    ],
    capacity: 30,
    waitlistCapacity: 0,
    fee: { amount: 0, currency: 'USD' },
    materials: [{ materialId: 'goggles', quantity: 2 }],
    status: 'open',
  });
  expect(answer.headers.etag).toBe('"1"');
});

test('adding the same again answers the same; other content under its id is refused', async () => {
  const section = newSection(await published());
  for (const [url, wanted, other] of [
    ['/v1/terms', newTerm(), { creditsMax: 1 }],
    ['/v1/courses', newCourse(), { title: 'Other' }],
    ['/v1/sections', section, { capacity: 1 }],
  ] as const) {
    const first = await post(url, wanted);
    const again = await post(url, wanted);
    const taken = await post(url, { ...wanted, ...other });

    expect([first.statusCode, again.statusCode, taken.statusCode]).toEqual([201, 201, 422]);
    expect(again.json()).toEqual(first.json());
    expect(again.headers.etag).toBe(first.headers.etag);
    expect(taken.json()).toMatchObject({ code: 'id-taken' });
  }
});

test('staff change what they give, and all else stays', async () => {
  const kept = { instructors: ['Ada Obi'], fee, waitlistCapacity: 3 };
  const { url } = await publishedSection({ ...kept, meetings: [lecture], capacity: 30 });

  const changed = await patch(url, { capacity: 12, meetings: [lecture, final], status: 'closed' });

  expect(changed.statusCode).toBe(200);
  expect(changed.json()).toMatchObject({ ...kept, capacity: 12, status: 'closed' });
  const seen = (await readAfter(changed, url)).json();
  expect(seen).toMatchObject({ ...kept, capacity: 12, status: 'closed', meetings: [lecture, final] });
  // What an answer shows of a meeting may be sent back.
  const same = await patch(url, { meetings: changed.json().meetings });
  expect(same.headers.etag).toBe(changed.headers.etag);
});

test('a capacity that was raised is shown once enrollment gives its seats', async () => {
  const { id, url } = await publishedSection({ capacity: 1 });
  await eventually(async () => (await platform.ask({ url })).json().seatsLeft === 1, { what: `seats of ${id}` });

  const raised = await patch(url, { capacity: 2 });

  expect(raised.json()).toMatchObject({ capacity: 2 });
  await eventually(async () => (await platform.ask({ url })).json().seatsLeft === 2, { what: `new seats of ${id}` });
});

test('a term and a course are changed, and the course’s sections show it', async () => {
  const ofThem = await published();
  const section = await post('/v1/sections', newSection(ofThem));
  const [termUrl, courseUrl] = [`/v1/terms/${ofThem.term}`, `/v1/courses/${ofThem.courseId}`];

  const term = await patch(termUrl, { name: 'Autumn', creditsMax: 12 });
  const course = await patch(courseUrl, { credits: 2, description: '' });

  expect(term.json()).toMatchObject({ id: ofThem.term, name: 'Autumn', creditsMax: 12, timeZone: 'America/Chicago' });
  expect((await readAfter(term, termUrl)).json()).toEqual(term.json());
  expect(course.json()).toMatchObject({ credits: 2, title: 'Compilers', description: '' });
  const seen = await readAfter(course, String(section.headers.location));
  expect(seen.json().course).toMatchObject({ credits: 2 });
});

test('changes of different fields at once all stay', async () => {
  const { url } = await publishedSection();
  const changes = [{ capacity: 7 }, { waitlistCapacity: 8 }, { code: 'B07' }, { instructors: ['Li Wei'] }, { fee }];

  const answers = await Promise.all(changes.map((change) => patch(url, change)));

  expect(answers.map(({ statusCode }) => statusCode)).toEqual(changes.map(() => 200));
  expect((await patch(url, {})).json()).toMatchObject(Object.assign({}, ...changes));
  expect(new Set(answers.map(({ headers }) => headers.etag)).size).toBe(changes.length);
});

test('a change that names an older version is refused, and of two that name the same one wins', async () => {
  const { url, etag } = await publishedSection();

  const both = await Promise.all([patch(url, { capacity: 1 }, etag), patch(url, { code: 'B01' }, etag)]);
  const stale = await patch(url, { capacity: 3 }, etag);

  expect(both.map(({ statusCode }) => statusCode).sort()).toEqual([200, 412]);
  expect(stale.statusCode).toBe(412);
  expect(stale.json()).toMatchObject({ code: 'changed-meanwhile', remedy: expect.any(String) });
  const now = await patch(url, {});
  expect(now.headers.etag).toBe('"2"');
  expect((await patch(url, { capacity: 3 }, String(now.headers.etag))).json()).toMatchObject({ capacity: 3 });
  expect((await patch(url, { capacity: 4 }, '*')).statusCode).toBe(200);
  expect((await patch(url, { capacity: 5 }, 'W/"1"')).statusCode).toBe(400);
});

test('a section of a course or a term that does not exist is refused with the reason', async () => {
  const ofThem = await published();
  const { url } = await publishedSection();

  const courseless = await post('/v1/sections', newSection({ ...ofThem, courseId: 'NO-COURSE' }));
  const timeless = await post('/v1/sections', newSection({ ...ofThem, term: 'NOTERM' }));
  const moved = await patch(url, { courseId: 'NO-COURSE' });

  expect([courseless.statusCode, timeless.statusCode, moved.statusCode]).toEqual([422, 422, 422]);
  expect(courseless.json()).toMatchObject({ reason: 'unknown-course' });
  expect(timeless.json()).toMatchObject({ reason: 'unknown-term' });
  expect(moved.json()).toMatchObject({ reason: 'unknown-course' });
});

test('what was cancelled is not opened again', async () => {
  const { id, url } = await publishedSection();
  const catalog = platform.clients.of(CatalogService, 'catalog');
  const { section } = await catalog.getSection({ sectionId: id });
  if (section) await catalog.putSections({ sections: [{ ...section, status: SectionStatus.CANCELLED }] });

  const reopened = await patch(url, { status: 'open' });

  expect(reopened.statusCode).toBe(422);
  expect(reopened.json()).toMatchObject({ reason: 'section-cancelled' });
  expect((await patch(url, { code: 'B01' })).json()).toMatchObject({ code: 'B01', status: 'cancelled' });
  expect((await patch(url, { status: 'cancelled' })).statusCode).toBe(400);
});

test('what is not there is neither shown nor changed', async () => {
  for (const url of ['/v1/terms/NONE', '/v1/courses/NONE', '/v1/sections/NONE-1']) {
    expect([url, (await patch(url, {})).statusCode]).toEqual([url, 404]);
    expect([url, (await platform.ask({ url })).statusCode]).toEqual([url, 404]);
  }
});

test('only staff change the catalog', async () => {
  const ofThem = await published();
  for (const [url, payload] of [
    ['/v1/terms', newTerm()],
    ['/v1/courses', newCourse()],
    ['/v1/sections', newSection(ofThem)],
  ] as const) {
    expect((await platform.ask({ method: 'POST', url, payload, as: student })).statusCode).toBe(403);
    expect((await platform.ask({ method: 'POST', url, payload })).statusCode).toBe(401);
    const one = `${url}/${payload.id}`;
    expect((await platform.ask({ method: 'PATCH', url: one, payload: {}, as: student })).statusCode).toBe(403);
    expect((await platform.ask({ method: 'PATCH', url: one, payload: {} })).statusCode).toBe(401);
  }
});

test('students register for a section that staff added, once its seats are known', async () => {
  const { id, url } = await publishedSection({ capacity: 1, meetings: [lecture] });
  await eventually(async () => (await platform.ask({ url })).json().seatsLeft === 1, { what: `seats of ${id}` });

  const put = await platform.ask({
    method: 'PUT',
    url: `/v1/registrations/${randomUUID()}`,
    payload: { adds: [{ sectionId: id }] },
    as: { id: `student-${randomUUID()}`, roles: ['student'] },
  });

  expect(put.json()).toMatchObject({ items: [{ sectionId: id, outcome: 'reserved' }] });
  expect((await readAfter(put, url)).json()).toMatchObject({ seatsTaken: 1, seatsLeft: 0 });
});

interface Wanted {
  items: { action: string }[];
}

test('a section that is cancelled is left by all its students, who are told why', async () => {
  const { id, url } = await publishedSection({ capacity: 1, waitlistCapacity: 1, meetings: [lecture] });
  await eventually(async () => (await platform.ask({ url })).json().seatsLeft === 1, { what: `seats of ${id}` });
  const newStudent = (): Person => ({ id: `student-${randomUUID()}`, roles: ['student'] });
  const [inside, waiting] = [newStudent(), newStudent()];
  const payload = { adds: [{ sectionId: id, orWaitlist: true }] };
  for (const as of [inside, waiting])
    await platform.ask({ method: 'PUT', url: `/v1/registrations/${randomUUID()}`, payload, as });
  const enrollment = platform.clients.of(EnrollmentService, 'enrollment');
  const { enrollments } = await enrollment.listEnrollments({ studentId: inside.id });
  for (const { registrationId } of enrollments) await enrollment.confirmSeats({ registrationId });

  const cancelled = await post(`${url}/cancel`, {});
  const again = await post(`${url}/cancel`, {});

  expect([cancelled.statusCode, again.statusCode]).toEqual([200, 200]);
  expect(again.json()).toEqual({ ...cancelled.json(), status: 'cancelled' });
  expect((await readAfter(cancelled, url)).json()).toMatchObject({ status: 'cancelled' });
  for (const as of [inside, waiting]) {
    const itemsOf = async (list: string) => (await platform.ask({ url: list, as })).json().items;
    const drop = await eventually(
      async () => (await itemsOf('/v1/registrations')).find((one: Wanted) => one.items[0]?.action === 'drop'),
      { what: 'the drop among the registrations' },
    );
    expect(drop.items).toMatchObject([{ sectionId: id, outcome: 'dropped', reason: 'section-cancelled' }]);
    await eventually(async () => (await itemsOf('/v1/me/schedule')).length === 0, { what: 'an empty schedule' });
  }
});

test('only staff cancel, and only what is there', async () => {
  const { url } = await publishedSection();
  const cancel = (as?: Person, at = url) => platform.ask({ method: 'POST', url: `${at}/cancel`, ...(as && { as }) });

  expect((await cancel()).statusCode).toBe(401);
  expect((await cancel({ id: 'anna', roles: ['student'] })).statusCode).toBe(403);
  expect((await cancel(staff, '/v1/sections/T1-nobody')).statusCode).toBe(404);
});

test('with the catalog away changes fail by name', async () => {
  await platform.services.get('catalog')?.stop();
  platform.services.delete('catalog');

  const answer = await post('/v1/courses', newCourse());

  expect(answer.statusCode).toBe(503);
  expect(answer.json()).toMatchObject({ code: 'catalog-unavailable' });
});
