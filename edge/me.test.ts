import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BillingService } from '#proto/billing/v1/service';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { type Person, type PlatformUnderTest, publishSections, startEdge, startPlatform } from './platform.testing.ts';

const DEMO_CARD = 'tok_ok';

let platform: PlatformUnderTest;
let sectionId: string;
let termId: string;

beforeAll(async () => {
  platform = await startPlatform({ PAYMENT_METHOD_DEFAULT: DEMO_CARD });
  [sectionId = ''] = await publishSections(platform, [{}]);
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
