import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { Day, SectionStatus } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { present } from './ask.ts';
import { encodeCursor } from './page.ts';
import { type PlatformUnderTest, publishSections, putAccount, startPlatform } from './platform.testing.ts';

let platform: PlatformUnderTest;
let ids: string[];
let term: string;

const meeting = (days: Day[], startsAt: string, endsAt: string) => ({
  kind: 'lecture',
  days,
  startsAt,
  endsAt,
  room: 'A1',
});

beforeAll(async () => {
  platform = await startPlatform();
  ids = await publishSections(platform, [
    { meetings: [meeting([Day.MONDAY, Day.WEDNESDAY, Day.FRIDAY], '10:00', '10:50')] },
    { meetings: [meeting([Day.TUESDAY, Day.THURSDAY], '14:00', '15:20')], instructors: ['Donald Knuth'] },
    { meetings: [meeting([Day.MONDAY], '08:00', '08:50')], status: SectionStatus.CLOSED },
    { capacity: 1, fee: undefined },
  ]);
  term = String(ids[0]?.split('-')[0]);
});
afterAll(() => platform.stop());

async function found(query: string, headers = {}): Promise<string[]> {
  const answer = await platform.ask({ url: `/v1/sections?term=${term}&${query}`, headers });
  expect(answer.statusCode).toBe(200);
  return answer.json().items.map(({ id }: { id: string }) => id);
}

test('anybody reads a section with its course, its meetings and its seats', async () => {
  const answer = await platform.ask({ url: `/v1/sections/${ids[0]}` });

  expect(answer.json()).toEqual({
    id: ids[0],
    term,
    course: { id: `${term}-CSE`, code: 'CSE 101', title: `Algorithms of ${term}`, credits: 4 },
    code: 'A01',
    instructors: ['Ada Lovelace'],
    meetings: [
      { kind: 'lecture', days: ['monday', 'wednesday', 'friday'], startsAt: '10:00', endsAt: '10:50', room: 'A1' },
    ],
    capacity: 30,
    seatsTaken: 0,
    seatsLeft: 30,
    waitlisted: 0,
    waitlistCapacity: 5,
    fee: { amount: 1500, currency: 'USD' },
    status: 'open',
    asOf: expect.stringMatching(/Z$/),
  });
});

test('a section without a fee costs nothing, in a currency that is one', async () => {
  const answer = await platform.ask({ url: `/v1/sections/${ids[3]}` });

  expect(answer.json().fee).toEqual({ amount: 0, currency: 'USD' });
});

test('sections are found by words, instructor, days, hours, credits and whether they are open', async () => {
  expect(await found('q=algorithms%20cse101')).toEqual(ids);
  expect(await found('q=knuth')).toEqual([ids[1]]);
  expect(await found('subject=CSE')).toEqual(ids);
  expect(await found('subject=MATH')).toEqual([]);
  expect(await found('days=MWF')).toEqual([ids[0], ids[2]]);
  expect(await found('days=TuTh')).toEqual([ids[1]]);
  expect(await found('days=TR')).toEqual([ids[1]]);
  expect(await found('from=09:00&to=12:00')).toEqual([ids[0]]);
  expect(await found('credits=4')).toEqual(ids);
  expect(await found('credits=3')).toEqual([]);
  expect(await found('open=true')).toEqual([ids[0], ids[1], ids[3]]);
});

test('a full section is not open, and says how many seats are left', async () => {
  const as = { id: `student-${randomUUID()}`, roles: ['student' as const] };
  const payload = { adds: [{ sectionId: ids[3] }] };
  const put = await platform.ask({ method: 'PUT', url: `/v1/registrations/${randomUUID()}`, payload, as });
  const headers = { 'consistency-token': String(put.headers['consistency-token']) };

  const section = await platform.ask({ url: `/v1/sections/${ids[3]}`, headers });

  expect(section.json()).toMatchObject({ seatsTaken: 1, seatsLeft: 0 });
  expect(await found('open=true', headers)).not.toContain(ids[3]);
  const schedule = await platform.ask({ url: `/v1/me/schedule?term=${term}`, as, headers });
  expect(schedule.json()).toMatchObject({ credits: 4, items: [{ outcome: 'reserved', section: { id: ids[3] } }] });
});

test('lists are read page by page, and show everything once', async () => {
  const first = (await platform.ask({ url: `/v1/sections?term=${term}&limit=3` })).json();
  const second = (await platform.ask({ url: `/v1/sections?term=${term}&limit=3&cursor=${first.nextCursor}` })).json();

  expect([...first.items, ...second.items].map(({ id }: { id: string }) => id)).toEqual(ids);
  expect(second).not.toHaveProperty('nextCursor');
});

test('terms and courses are read by anybody', async () => {
  const terms = (await platform.ask({ url: '/v1/terms' })).json();
  const courses = (await platform.ask({ url: `/v1/courses?q=${term}` })).json();
  const course = await platform.ask({ url: `/v1/courses/${term}-CSE` });

  expect(terms.items).toContainEqual(
    expect.objectContaining({ id: term, timeZone: 'America/Los_Angeles', startsOn: '2026-09-21', creditsMax: 20 }),
  );
  expect(courses.items).toEqual([course.json()]);
  expect(course.json()).toMatchObject({ code: 'CSE 101', credits: 4, subject: 'CSE' });
  expect((await platform.ask({ url: '/v1/courses/none' })).statusCode).toBe(404);
  expect((await platform.ask({ url: '/v1/sections/none' })).statusCode).toBe(404);
});

test('a query that the route does not understand is refused, not ignored', async () => {
  for (const query of [
    'colour=red',
    'limit=0',
    'limit=x',
    'days=XYZ',
    'from=25:00',
    'open=yes',
    'credits=-1',
    'cursor=%7B',
  ]) {
    const answer = await platform.ask({ url: `/v1/sections?${query}` });
    expect([query, answer.statusCode]).toEqual([query, 400]);
    expect(answer.json().fields).toHaveLength(1);
  }
  for (const url of ['/v1/sections?q=%00', '/v1/sections?term=%00', '/v1/sections/%00', '/v1/courses/a%0Ab']) {
    expect([url, (await platform.ask({ url })).statusCode]).toEqual([url, 400]);
  }
  for (const q of ["'; drop table sections; --", ':* & !', '\\', 'ü'.repeat(50)]) {
    const answer = await platform.ask({ url: `/v1/sections?q=${encodeURIComponent(q)}` });
    expect([q, answer.statusCode]).toEqual([q, 200]);
  }
});

test('a forged cursor is refused wherever there are pages', async () => {
  const as = { id: `student-${randomUUID()}`, roles: ['student' as const] };
  const forged = encodeCursor(['\u0000']);
  for (const list of [
    '/v1/terms',
    '/v1/courses',
    '/v1/sections',
    '/v1/materials',
    '/v1/registrations',
    '/v1/me/account',
  ]) {
    for (const cursor of [forged, encodeCursor(['\u0000', '\u0000']), encodeCursor([]), 'e30']) {
      const answer = await platform.ask({ url: `${list}?cursor=${cursor}`, as });
      expect([list, cursor, answer.statusCode]).toEqual([list, cursor, 400]);
      expect(answer.json().fields).toEqual([{ path: 'cursor', message: 'is not one that a page answered' }]);
    }
  }
  const late = await platform.ask({
    url: `/v1/me/account?cursor=${encodeCursor(['2026-01-01T00:00:00.000Z', '\u0000'])}`,
    as,
  });
  expect(late.statusCode).toBe(400);
});

test('one knows how one stands in the current term', async () => {
  const as = { id: `student-${randomUUID()}`, roles: ['student' as const] };
  const email = await putAccount(platform, as.id, 'student');

  const me = await platform.ask({ url: '/v1/me', as });

  expect(me.json()).toEqual({
    id: as.id,
    email,
    name: `Name of ${as.id}`,
    roles: ['student'],
    standing: { term, credits: 0, creditsLimit: 20, holds: [], registrationOpensAt: null },
  });
  expect((await platform.ask({ url: '/v1/me', as: { id: 'deleted', roles: [] } })).statusCode).toBe(404);
  expect((await platform.ask({ url: '/v1/me/schedule' })).statusCode).toBe(401);
  expect((await platform.ask({ url: '/v1/me/account', as: { id: 'i', roles: ['instructor'] } })).statusCode).toBe(403);
  const account = await platform.ask({ url: '/v1/me/account', as });
  expect(account.json()).toMatchObject({ balance: { amount: 0, currency: 'USD' }, items: [] });
});

test('no seat is left where a newcomer would be refused: after the capacity was lowered, or while others wait', async () => {
  const [lowered = '', awaited = ''] = await publishSections(platform, [{ capacity: 2 }, { capacity: 1 }]);
  const put = (payload: object, id = `student-${randomUUID()}`) =>
    platform.ask({
      method: 'PUT',
      url: `/v1/registrations/${randomUUID()}`,
      payload,
      as: { id, roles: ['student'] },
    });
  const leaver = `student-${randomUUID()}`;
  const enrolled = await put({ adds: [{ sectionId: lowered }] }, leaver);
  await platform.clients.of(EnrollmentService, 'enrollment').confirmSeats({ registrationId: enrolled.json().id });
  await put({ adds: [{ sectionId: lowered }] });
  await put({ adds: [{ sectionId: awaited }] });
  await put({ adds: [{ sectionId: awaited, orWaitlist: true }] });

  await changeCapacity({ [lowered]: 1, [awaited]: 2 });
  await put({ drops: [lowered] }, leaver);

  for (const sectionId of [lowered, awaited]) {
    await eventually(async () => (await platform.ask({ url: `/v1/sections/${sectionId}` })).json().seatsTaken === 1);
    const refused = await put({ adds: [{ sectionId }] });
    const headers = { 'consistency-token': String(refused.headers['consistency-token']) };
    const section = await platform.ask({ url: `/v1/sections/${sectionId}`, headers });

    expect(refused.json().items).toMatchObject([{ outcome: 'refused', reason: 'section-full' }]);
    expect(section.json()).toMatchObject({ seatsTaken: 1, seatsLeft: 0 });
    const open = await platform.ask({ url: `/v1/sections?open=true&q=${sectionId}`, headers });
    expect(open.json().items).toEqual([]);
  }
});

/** By section; answers when enrollment and the views have followed. */
async function changeCapacity(wanted: Record<string, number>): Promise<void> {
  const catalog = platform.clients.of(CatalogService, 'catalog');
  for (const [sectionId, capacity] of Object.entries(wanted)) {
    const { section } = await catalog.getSection({ sectionId });
    await catalog.putSections({ sections: [{ ...present('catalog', section), capacity }] });
    await eventually(() =>
      platform.services
        .get('enrollment')
        ?.parts.database.query("select from section_facts where id = $1 and facts #>> '{section,capacity}' = $2", [
          sectionId,
          String(capacity),
        ])
        .then((rows) => rows.length > 0),
    );
    await eventually(
      async () => (await platform.ask({ url: `/v1/sections/${sectionId}` })).json().capacity === capacity,
    );
  }
}

test('with enrollment and catalog away the catalog still answers, and registering fails by name', async () => {
  const as = { id: `student-${randomUUID()}`, roles: ['student' as const] };
  const asOf = () => platform.ask({ url: `/v1/sections/${ids[0]}` }).then((answer) => answer.json().asOf);
  for (const name of ['enrollment', 'catalog'] as const) {
    await platform.services.get(name)?.stop();
    platform.services.delete(name);
  }

  const payload = { adds: [{ sectionId: ids[0] }] };
  const put = await platform.ask({ method: 'PUT', url: `/v1/registrations/${randomUUID()}`, payload, as });

  expect(put.statusCode).toBe(503);
  expect(put.json()).toMatchObject({
    code: 'enrollment-unavailable',
    traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  expect(put.headers['retry-after']).toBe('1');
  expect(await found('q=knuth')).toEqual([ids[1]]);
  expect(new Date(await asOf()).getTime()).toBeLessThanOrEqual(Date.now());
  // Each dependency has a second to answer; a busy machine may need more than one look.
  const isIdentityUp = async () => {
    const answer = await platform.ask({ url: '/readyz' });
    const { dependencies } = answer.json<{ dependencies: { name: string; status: string }[] }>();
    return dependencies.some(({ name, status }) => name === 'identity' && status === 'up') && answer;
  };
  const ready = await eventually(isIdentityUp, { what: 'identity being up' });
  expect(ready.statusCode).toBe(200);
  expect(ready.json()).toMatchObject({ status: 'degraded' });
  expect(ready.json().dependencies).toContainEqual(expect.objectContaining({ name: 'enrollment', status: 'away' }));
});
