import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BillingService } from '#proto/billing/v1/service';
import { Day } from '#proto/catalog/v1/catalog';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import {
  type Person,
  type PlatformUnderTest,
  publishSections,
  putAccount,
  startEdge,
  startPlatform,
} from './platform.testing.ts';

const DEMO_CARD = 'tok_ok';

let platform: PlatformUnderTest;
let sectionId: string;
let termId: string;

beforeAll(async () => {
  platform = await startPlatform({ PAYMENT_METHOD_DEFAULT: DEMO_CARD });
  const meetings = [{ kind: 'lecture', days: [Day.MONDAY], startsAt: '10:00', endsAt: '10:50', room: 'Hall 1' }];
  [sectionId = ''] = await publishSections(platform, [{ meetings }]);
  termId = String(sectionId.split('-')[0]);
  const refunds = [{ until: '2099-12-31', percent: 100 }];
  const rate = { termId, perCredit: { amount: 10_000n, currency: 'USD' }, refunds, timeZone: 'America/Los_Angeles' };
  await platform.clients.of(BillingService, 'billing').setTuitionRate({ rate });
});
afterAll(() => platform.stop());

/** What the saga asks of billing, without Temporal; answers the consistency token of what billing did. */
async function charge(studentId: string, registrationId: string): Promise<string> {
  let token = '';
  const fee = { amount: 1_500n, currency: 'USD' };
  await platform.clients.of(BillingService, 'billing').chargeTuition(
    { registrationId, studentId, termId, items: [{ sectionId, credits: 4, fee }], paymentMethod: 'tok_ok' },
    {
      onHeader: (headers) => {
        token = headers.get('consistency-token') ?? '';
      },
    },
  );
  return token;
}

test('a student sees what a registration cost, on it and on the account, page by page', async () => {
  const as: Person = { id: `student-${randomUUID()}`, roles: ['student'] };
  const id = randomUUID();
  const payload = { adds: [{ sectionId }] };
  const put = await platform.ask({ method: 'PUT', url: `/v1/registrations/${id}`, payload, as });
  const token = await charge(as.id, id);
  const headers = { 'consistency-token': `${put.headers['consistency-token']},${token}` };

  const registration = (await platform.ask({ url: `/v1/registrations/${id}`, as, headers })).json();
  const account = (await platform.ask({ url: '/v1/me/account', as, headers })).json();

  expect(registration.total).toEqual({ amount: 41_500, currency: 'USD' });
  expect(registration.steps).toContainEqual({ name: 'chargeTuition', status: 'done', at: expect.any(String) });
  expect(account.balance).toEqual({ amount: 0, currency: 'USD' });
  expect(
    Object.fromEntries(account.items.map((entry: { kind: string; amount: object }) => [entry.kind, entry.amount])),
  ).toEqual({
    tuition: { amount: 40_000, currency: 'USD' },
    fee: { amount: 1_500, currency: 'USD' },
    payment: { amount: -41_500, currency: 'USD' },
  });
  expect(account.items[0]).toMatchObject({ registrationId: id, term: termId, at: expect.stringMatching(/Z$/) });
  const paged: unknown[] = [];
  let cursor = '';
  for (const _entry of account.items) {
    const page = (await platform.ask({ url: `/v1/me/account?limit=1${cursor}`, as, headers })).json();
    paged.push(...page.items);
    cursor = `&cursor=${page.nextCursor}`;
  }
  expect(paged).toEqual(account.items);
});

test('a registration that names no card is paid with the configured one, and without one with none', async () => {
  const addresses = { ENROLLMENT_ADDRESS: String(platform.services.get('enrollment')?.address) };
  const views = { VIEWS_DATABASE_URL: String(platform.services.get('projector')?.parts.config.databaseUrl) };
  const unconfigured = await startEdge({ ...addresses, ...views });
  const cardOf = async ({ ask }: Pick<PlatformUnderTest, 'ask'>, card: { paymentMethod?: string }) => {
    const registrationId = randomUUID();
    const payload = { adds: [{ sectionId }], ...card };
    await ask({
      method: 'PUT',
      url: `/v1/registrations/${registrationId}`,
      payload,
      as: { id: `student-${randomUUID()}`, roles: ['student'] },
    });
    const enrollment = platform.clients.of(EnrollmentService, 'enrollment');
    return (await enrollment.getRegistration({ registrationId })).registration?.paymentMethod;
  };
  try {
    expect(await cardOf(platform, {})).toBe(DEMO_CARD);
    expect(await cardOf(platform, { paymentMethod: 'tok_declined' })).toBe('tok_declined');
    expect(await cardOf(unconfigured, {})).toBe('');
  } finally {
    await unconfigured.stop();
  }
});

test('one student’s account and schedule show nothing of another’s', async () => {
  const ben: Person = { id: `student-${randomUUID()}`, roles: ['student'] };

  expect((await platform.ask({ url: '/v1/me/account', as: ben })).json().items).toEqual([]);
  expect((await platform.ask({ url: '/v1/me/schedule', as: ben })).json()).toMatchObject({ items: [], credits: 0 });
});

async function newStudent(): Promise<Person> {
  const as: Person = { id: `student-${randomUUID()}`, roles: ['student'] };
  await putAccount(platform, as.id, ...as.roles);
  return as;
}

async function createKey(as: Person): Promise<{ key: string; url: string }> {
  const answer = await platform.ask({ method: 'POST', url: '/v1/me/schedule/key', as });
  expect(answer.statusCode).toBe(201);
  return answer.json();
}

test('a student subscribes to the schedule with a key, and nobody logs in to read it', async () => {
  const as = await newStudent();
  const payload = { adds: [{ sectionId }] };
  const put = await platform.ask({ method: 'PUT', url: `/v1/registrations/${randomUUID()}`, payload, as });
  const { key, url } = await createKey(as);

  const headers = { 'consistency-token': String(put.headers['consistency-token']) };
  const feed = await platform.ask({ url, headers });

  expect(url).toBe(`/v1/me/schedule.ics?key=${key}`);
  expect(feed.statusCode).toBe(200);
  expect(feed.headers).toMatchObject({
    'content-type': 'text/calendar; charset=utf-8',
    'cache-control': 'private, no-cache',
  });
  expect(feed.body).toContain('SUMMARY:CSE 101 lecture\r\n');
  expect(feed.body).toMatch(/DTSTART;TZID=America\/Los_Angeles:20260921T100000\r\n/);
  expect(feed.body.split('BEGIN:VEVENT')).toHaveLength(2);
});

test('a key that was revoked or replaced, and one that nobody has, open nothing', async () => {
  const as = await newStudent();
  const first = await createKey(as);
  const second = await createKey(as);
  const statusOf = async (url: string) => (await platform.ask({ url })).statusCode;

  expect([await statusOf(first.url), await statusOf(second.url)]).toEqual([404, 200]);
  for (const _twice of [1, 2])
    expect((await platform.ask({ method: 'DELETE', url: '/v1/me/schedule/key', as })).statusCode).toBe(204);
  expect(await statusOf(second.url)).toBe(404);
  expect(await statusOf('/v1/me/schedule.ics?key=nobody')).toBe(404);
  expect(await statusOf('/v1/me/schedule.ics?key=a%20b')).toBe(400);
  expect(await statusOf('/v1/me/schedule.ics')).toBe(400);
});

test('a key is worth no more than its student’s role, and only students have one', async () => {
  const as = await newStudent();
  const { url } = await createKey(as);
  await platform.clients.of(IdentityService, 'identity').revokeRole({ accountId: as.id, role: 'student' });

  expect((await platform.ask({ url })).statusCode).toBe(404);
  const staff: Person = { id: 'registrar', roles: ['staff'] };
  expect((await platform.ask({ method: 'POST', url: '/v1/me/schedule/key', as: staff })).statusCode).toBe(403);
  expect((await platform.ask({ method: 'POST', url: '/v1/me/schedule/key' })).statusCode).toBe(401);
});

test('with billing away the account is still shown, and registering goes on', async () => {
  await platform.services.get('billing')?.stop();
  platform.services.delete('billing');
  const as: Person = { id: `student-${randomUUID()}`, roles: ['student'] };

  const account = await platform.ask({ url: '/v1/me/account', as });
  const payload = { adds: [{ sectionId }] };
  const put = await platform.ask({ method: 'PUT', url: `/v1/registrations/${randomUUID()}`, payload, as });

  expect(account.statusCode).toBe(200);
  expect(put.statusCode).toBe(202);
});

test('with identity away the calendar feed says so, and the schedule is still shown', async () => {
  const as = await newStudent();
  const { url } = await createKey(as);
  await platform.services.get('identity')?.stop();
  platform.services.delete('identity');

  const feed = await platform.ask({ url });

  expect(feed.statusCode).toBe(503);
  expect(feed.json()).toMatchObject({ code: 'identity-unavailable' });
  expect((await platform.ask({ url: '/v1/me/schedule', as })).statusCode).toBe(200);
});
