import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tokenOf } from '#lib/testing';
import { BillingService } from '#proto/billing/v1/service';
import { TuitionRate } from './rate.ts';
import { type BillingUnderTest, rate, startBilling, told, usd } from './testing.ts';

let billing: BillingUnderTest;

beforeAll(async () => {
  billing = await startBilling();
});
afterAll(() => billing.stop());

test.each([
  ['2026-09-25T23:59:59-07:00', 100, 'the last moment of a step’s last day, though it is the next day in UTC'],
  ['2026-09-26T00:00:00-07:00', 50, 'the moment after'],
  ['2026-10-10T06:59:59Z', 50, 'the end of the last step'],
  ['2026-10-10T07:00:00Z', 0, 'after the last step'],
])('a drop at %s gives back %i %%: %s', (at, percent) => {
  const { termId, refunds, timeZone } = rate;
  const entity = Object.assign(Object.create(TuitionRate.prototype), { termId, refunds, timeZone });
  expect(TuitionRate.prototype.percentAt.call(entity, new Date(at))).toBe(percent);
});

test('a rate is told of when it changes, and only then', async () => {
  const spring = { ...rate, termId: 'SP27' };
  await billing.system.setTuitionRate({ rate: spring });
  await billing.system.setTuitionRate({ rate: spring });
  expect(await told(billing, 'SP27')).toEqual(['TuitionRateSet']);

  await billing.system.setTuitionRate({ rate: { ...spring, refunds: [] } });
  expect(await told(billing, 'SP27')).toEqual(['TuitionRateSet', 'TuitionRateSet']);
});

test('a rate is read as it was set, and a term without one has none', async () => {
  expect((await billing.system.getTuitionRate({ termId: rate.termId })).rate).toMatchObject(rate);
  await expect(billing.system.getTuitionRate({ termId: 'FA99' })).rejects.toMatchObject({ code: Code.NotFound });
});

test('staff set and read rates; students and instructors do not', async () => {
  const as = async (role: 'staff' | 'student' | 'instructor') =>
    billing.service.client(BillingService, await tokenOf(`a-${role}`, role));
  const own = { ...rate, termId: 'WI27' };

  await (await as('staff')).setTuitionRate({ rate: own });
  expect((await (await as('staff')).getTuitionRate({ termId: 'WI27' })).rate).toMatchObject(own);
  for (const role of ['student', 'instructor'] as const) {
    const asked = (await as(role)).setTuitionRate({ rate: { ...own, perCredit: usd(1n) } });
    await expect(asked).rejects.toMatchObject({ code: Code.PermissionDenied });
    const read = (await as(role)).getTuitionRate({ termId: 'WI27' });
    await expect(read).rejects.toMatchObject({ code: Code.PermissionDenied });
  }
});

test.each([
  ['no currency', 'per_credit', { perCredit: { amount: 1n, currency: '' } }],
  ['a negative amount', 'per_credit', { perCredit: usd(-1n) }],
  ['no such date', 'refunds', { refunds: [{ until: '2026-02-30', percent: 1 }] }],
  ['a date that is none', 'refunds', { refunds: [{ until: 'soon', percent: 1 }] }],
  ['steps out of order', 'refunds', { refunds: [...rate.refunds].reverse() }],
  ['more than everything', 'refunds', { refunds: [{ until: '2026-09-25', percent: 101 }] }],
  ['no such time zone', 'time_zone', { timeZone: 'Mars/Olympus' }],
  ['no term', 'term_id', { termId: '' }],
])('a rate with %s is malformed, and the field is named', async (_what, field, changes) => {
  const asked = billing.system.setTuitionRate({ rate: { ...rate, ...changes } });
  const rawMessage = expect.stringMatching(`^${field}: `);
  await expect(asked).rejects.toMatchObject({ code: Code.InvalidArgument, rawMessage });
});
