import { randomUUID } from 'node:crypto';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { encodeCursor } from './page.ts';
import { type Person, type PlatformUnderTest, publishSections, startPlatform } from './platform.testing.ts';

let platform: PlatformUnderTest;

beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform.stop());

function student(): Person {
  return { id: `student-${randomUUID()}`, roles: ['student'] };
}

const staff: Person = { id: 'registrar', roles: ['staff'] };

interface Asking {
  id?: string;
  headers?: Record<string, string>;
}

function put(as: Person | undefined, payload: object, { id = randomUUID(), headers = {} }: Asking = {}) {
  return platform.ask({ method: 'PUT', url: `/v1/registrations/${id}`, payload, headers, ...(as && { as }) });
}

async function section(wanted: Parameters<typeof publishSections>[1][number] = {}): Promise<string> {
  const [id = ''] = await publishSections(platform, [wanted]);
  return id;
}

/** What the saga does at its end, without Temporal. */
async function confirm(registrationId: string): Promise<void> {
  await platform.clients.of(EnrollmentService, 'enrollment').confirmSeats({ registrationId });
}

function get(as: Person, answer: LightMyRequestResponse) {
  const token = String(answer.headers['consistency-token']);
  return platform.ask({ url: String(answer.headers.location), as, headers: { 'consistency-token': token } });
}

test('a student asks for sections, is answered for each, and reads it back at once', async () => {
  const anna = student();
  const [open = '', closed = ''] = await publishSections(platform, [{}, { status: 2 }]);

  const answer = await put(anna, { adds: [{ sectionId: open }, { sectionId: closed }], mode: 'each' });

  expect(answer.statusCode).toBe(202);
  expect(answer.headers['consistency-token']).toMatch(/^enrollment:\d+$/);
  expect(answer.json()).toMatchObject({
    studentId: anna.id,
    status: 'pending',
    items: [
      { sectionId: open, action: 'add', outcome: 'reserved' },
      { sectionId: closed, action: 'add', outcome: 'refused', reason: 'section-closed', remedy: expect.any(String) },
    ],
    steps: [],
  });
  const read = await get(anna, answer);
  expect(read.statusCode).toBe(200);
  expect(read.json()).toMatchObject({ id: answer.json().id, status: 'pending', items: answer.json().items });
});

test('repeating a registration answers the same, and other content under its id is refused', async () => {
  const anna = student();
  const [first = '', second = ''] = await publishSections(platform, [{}, {}]);
  const id = randomUUID();

  const answer = await put(anna, { adds: [{ sectionId: first }] }, { id });
  const again = await put(anna, { adds: [{ sectionId: first }] }, { id });
  const other = await put(anna, { adds: [{ sectionId: second }] }, { id });

  expect(again.statusCode).toBe(202);
  expect(again.json()).toEqual(answer.json());
  expect(other.statusCode).toBe(422);
  expect(other.json()).toMatchObject({ status: 422, code: 'id-taken', remedy: expect.any(String) });
});

test('a registration of which nothing was granted has ended at once', async () => {
  const answer = await put(student(), { adds: [{ sectionId: 'no-such-section' }] });

  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toMatchObject({
    status: 'refused',
    items: [{ outcome: 'refused', reason: 'unknown-section' }],
  });
});

test('one who would wait hears the end, and is told that the wait was granted', async () => {
  const anna = student();
  const id = randomUUID();
  const sectionId = await section();

  const waiting = put(anna, { adds: [{ sectionId }] }, { id, headers: { prefer: 'wait=30' } });
  await eventually(
    () =>
      confirm(id).then(
        () => true,
        () => false,
      ),
    { what: 'the registration' },
  );
  const answer = await waiting;

  expect(answer.statusCode).toBe(200);
  expect(answer.headers['preference-applied']).toBe('wait=30');
  expect(answer.json()).toMatchObject({
    status: 'completed',
    items: [{ outcome: 'enrolled' }],
    steps: [
      { name: 'reserveSeats', status: 'done' },
      { name: 'confirmSeats', status: 'done' },
    ],
  });
  const repeated = await put(anna, { adds: [{ sectionId }] }, { id });
  expect(repeated.statusCode).toBe(200);
  expect(repeated.json()).toMatchObject({ status: 'completed', items: [{ outcome: 'enrolled' }] });
});

test('staff register for a student whom they name, a student for nobody else', async () => {
  const sectionId = await section();
  const adds = [{ sectionId }];

  const nobody = await put(staff, { adds });
  const stranger = await put(student(), { adds, studentId: 'somebody-else' });
  const unknown = await put(staff, { adds, studentId: 'unknown-student' });

  expect(nobody.statusCode).toBe(400);
  expect(nobody.json().fields).toEqual([{ path: 'studentId', message: expect.any(String) }]);
  expect(stranger.statusCode).toBe(403);
  expect(unknown.statusCode).toBe(404);
});

test('a malformed registration is refused where it is malformed', async () => {
  const anna = student();
  const faults = [
    [{ adds: [{ sectionId: 'x', colour: 'red' }] }, 'adds.0.colour'],
    [{ adds: [{ sectionId: 7 }] }, 'adds.0.sectionId'],
    [{ adds: [{ sectionId: 'x' }], extra: 1 }, 'extra'],
    [{ adds: [{ sectionId: 'x' }], mode: 'some' }, 'mode'],
    [{ adds: [], drops: [] }, 'adds'],
  ] as const;

  for (const [payload, path] of faults) {
    const answer = await put(anna, payload);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'malformed-request', fields: [{ path }] });
  }
  expect((await put(anna, {}, { id: 'not-a-uuid' })).statusCode).toBe(400);
  expect((await put(anna, {}, { id: `urn:uuid:${randomUUID()}` })).statusCode).toBe(400);
});

test('a registration is for people who are logged in, and for students', async () => {
  const adds = [{ sectionId: 'any' }];

  expect((await put(undefined, { adds })).statusCode).toBe(401);
  expect((await put({ id: 'applicant', roles: [] }, { adds })).statusCode).toBe(403);
  expect((await platform.ask({ url: '/v1/registrations' })).statusCode).toBe(401);
});

test('somebody else’s registration does not exist, neither in the views nor at the service', async () => {
  const anna = student();
  const ben = student();
  const answer = await put(anna, { adds: [{ sectionId: await section() }] });
  await get(anna, answer);
  const url = String(answer.headers.location);

  const read = await platform.ask({ url, as: ben });
  const cancelled = await platform.ask({ method: 'DELETE', url, as: ben });

  expect(read.statusCode).toBe(404);
  expect(cancelled.statusCode).toBe(404);
  expect((await platform.ask({ url, as: staff })).statusCode).toBe(200);
});

test('what the views do not show yet is asked of the service', async () => {
  const anna = student();
  const answer = await put(anna, { adds: [{ sectionId: await section() }] });
  const far = { 'consistency-token': 'enrollment:999999999' };

  const one = await platform.ask({ url: String(answer.headers.location), as: anna, headers: far });
  const list = await platform.ask({ url: '/v1/registrations', as: anna, headers: far });
  const malformed = await platform.ask({ url: '/v1/registrations', as: anna, headers: { 'consistency-token': '?' } });

  expect(one.json()).toMatchObject({ id: answer.json().id, status: 'pending' });
  expect(list.statusCode).toBe(503);
  expect(list.json().code).toBe('view-behind');
  expect(list.headers['retry-after']).toBe('1');
  expect(malformed.statusCode).toBe(400);
});

test('a student lists their own registrations page by page, newest first, by status too', async () => {
  const anna = student();
  const ids = await publishSections(platform, [{}, {}, {}]);
  const answers = [];
  for (const sectionId of ids) answers.push(await put(anna, { adds: [{ sectionId }] }));
  const headers = { 'consistency-token': String(answers.at(-1)?.headers['consistency-token']) };
  const list = (query: string) => platform.ask({ url: `/v1/registrations?${query}`, as: anna, headers });

  const first = (await list('limit=2')).json();
  const second = (await list(`limit=2&cursor=${first.nextCursor}`)).json();

  const shown = [...first.items, ...second.items].map(({ id }: { id: string }) => id);
  expect(shown).toEqual(answers.map((answer) => answer.json().id).reverse());
  expect(second).not.toHaveProperty('nextCursor');
  expect((await list('status=completed')).json().items).toEqual([]);
  expect((await list('studentId=somebody-else')).statusCode).toBe(403);
  expect((await list('cursor=nonsense')).statusCode).toBe(400);
  for (const key of [
    ['2026-01-01T00:00:00.000Z', 'x'],
    ['yesterday', randomUUID()],
    ['2026-99-01T00:00:00.000Z', randomUUID()],
    ['0000-01-01T00:00:00.000Z', randomUUID()],
    [randomUUID()],
  ]) {
    expect([key, (await list(`cursor=${encodeCursor(key)}`)).statusCode]).toEqual([key, 400]);
  }
  expect((await list('limit=101')).statusCode).toBe(400);
});

test('validating says what would happen, and takes nothing', async () => {
  const anna = student();
  const sectionId = await section({ capacity: 1 });
  const payload = { adds: [{ sectionId }] };
  const validate = () => platform.ask({ method: 'POST', url: '/v1/registrations/validate', payload, as: anna });

  const forecast = await validate();
  await validate();

  expect(forecast.statusCode).toBe(200);
  expect(forecast.json()).toMatchObject({ status: 'pending', items: [{ sectionId, outcome: 'reserved' }] });
  expect((await platform.ask({ url: `/v1/sections/${sectionId}` })).json()).toMatchObject({ seatsTaken: 0 });
});

test('a pending registration can be cancelled, an ended one cannot', async () => {
  const anna = student();
  const [first = '', second = ''] = await publishSections(platform, [{}, {}]);
  const pending = await put(anna, { adds: [{ sectionId: first }] });
  const completed = await put(anna, { adds: [{ sectionId: second }] });
  await confirm(completed.json().id);
  const cancel = (url: unknown) => platform.ask({ method: 'DELETE', url: String(url), as: anna });

  expect((await cancel(pending.headers.location)).statusCode).toBe(202);
  const late = await cancel(completed.headers.location);
  expect(late.statusCode).toBe(409);
  expect(late.json()).toMatchObject({ code: 'registration-ended', reason: 'registration-ended' });
  const drop = await put(anna, { drops: [second] });
  const undropped = await cancel(drop.headers.location);
  expect(undropped.statusCode).toBe(409);
  expect(undropped.json()).toMatchObject({ code: 'drop-in-progress', detail: expect.stringContaining('drop') });
});

test('one who waits for a seat sees the place in the line, and may leave it', async () => {
  const sectionId = await section({ capacity: 1 });
  await put(student(), { adds: [{ sectionId }] });
  const ben = student();

  const answer = await put(ben, { adds: [{ sectionId, orWaitlist: true }] });
  const left = await platform.ask({ method: 'DELETE', url: `/v1/waitlist/${sectionId}`, as: ben });

  expect(answer.json()).toMatchObject({ items: [{ outcome: 'waitlisted', waitlistPosition: 1 }] });
  expect(left.statusCode).toBe(204);
  const token = String(left.headers['consistency-token']);
  const schedule = await platform.ask({ url: '/v1/me/schedule', as: ben, headers: { 'consistency-token': token } });
  expect(schedule.json().items).toEqual([]);
  const again = await platform.ask({ method: 'DELETE', url: `/v1/waitlist/${sectionId}`, as: ben });
  expect(again.statusCode).toBe(204);
});

test('many who ask at the same moment are each answered for themselves', async () => {
  const sectionId = await section({ capacity: 5, waitlistCapacity: 0 });
  const students = Array.from({ length: 100 }, student);

  const answers = await Promise.all(students.map((one) => put(one, { adds: [{ sectionId }] })));

  expect(answers.map((answer) => answer.json().studentId)).toEqual(students.map(({ id }) => id));
  const reserved = answers.filter((answer) => answer.statusCode === 202);
  expect(reserved).toHaveLength(5);
});
