import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newEvent } from '#lib/event-log';
import { refusalOf } from '#lib/refusal';
import { eventually, tokenOf } from '#lib/testing';
import { ChargeStatus } from '#proto/billing/v1/billing';
import { BillingService } from '#proto/billing/v1/service';
import { MaterialRemovedSchema } from '#proto/bookstore/v1/events';
import {
  account,
  type BillingUnderTest,
  booked,
  causes,
  disagreements,
  losingAnswers,
  newCharge,
  newChargeTotal,
  patient,
  startBilling,
  told,
  usd,
} from './testing.ts';

let billing: BillingUnderTest;
/** Registrations whose charge the provider answers in vain. */
const lost = new Set<string>();

beforeAll(async () => {
  billing = await startBilling(losingAnswers(lost));
});
afterAll(async () => {
  expect(await disagreements(billing)).toEqual([]);
  await billing.stop();
});

const reasonOf = async (asked: Promise<unknown>) => refusalOf(await asked.catch((error: unknown) => error))?.reason;

test.each(['tok_ok', 'tok_slow', 'tok_flaky', 'tok_timeout_charged'])(
  '%s pays the price once, and a repeat answers the same',
  async (card) => {
    const request = newCharge(card);

    const { charge } = await billing.system.chargeTuition(request, patient);
    const repeat = await billing.system.chargeTuition(request);

    expect(charge).toMatchObject({ status: ChargeStatus.CHARGED, total: usd(newChargeTotal), refunded: usd(0n) });
    expect(repeat.charge).toEqual(charge);
    expect(await booked(billing, request.registrationId)).toMatchObject({
      charged: Number(newChargeTotal),
      refunded: 0,
    });
    expect(await causes(billing, request.registrationId)).toEqual(['charge']);
    expect(await told(billing, request.registrationId)).toEqual(['TuitionCharged']);
  },
);

test.each([
  ['tok_declined', 'The card was declined.'],
  ['tok_insufficient_funds', 'The card does not cover the price.'],
  ['tok_of_nobody', 'The payment provider does not know this card.'],
  ['', 'The payment provider does not know this card.'],
])('"%s" is declined for good, and leaves nothing in the ledger', async (card, sentence) => {
  const request = newCharge(card);

  for (const _attempt of ['first', 'repeat']) {
    const refusal = refusalOf(await billing.system.chargeTuition(request).catch((error: unknown) => error));
    expect(refusal).toMatchObject({ reason: 'payment-declined', message: sentence });
  }

  expect(await causes(billing, request.registrationId)).toEqual([]);
  expect(await told(billing, request.registrationId)).toEqual(['TuitionDeclined']);
});

test('a charge shows on the account by kind, and the payment balances it', async () => {
  const request = newCharge();
  await billing.system.chargeTuition(request);

  expect(await account(billing, request.studentId)).toEqual([
    'tuition 180006',
    'fee 2500',
    'materials 9998',
    `payment -${newChargeTotal}`,
  ]);
  const { balance } = await billing.system.getStudentAccount({ studentId: request.studentId });
  expect(balance).toMatchObject(usd(0n));
});

test('twenty who charge the same registration at once charge it once', async () => {
  const request = newCharge();

  const answers = await Promise.all(Array.from({ length: 20 }, () => billing.system.chargeTuition(request, patient)));

  expect(answers.map(({ charge }) => charge?.status)).toEqual(Array(20).fill(ChargeStatus.CHARGED));
  expect(await causes(billing, request.registrationId)).toEqual(['charge']);
  expect(await told(billing, request.registrationId)).toEqual(['TuitionCharged']);
});

test('a charge whose answer was lost after the money was taken goes on where it was', async () => {
  const request = newCharge();
  lost.add(request.registrationId);
  await expect(billing.system.chargeTuition(request, patient)).rejects.toMatchObject({ code: Code.Unavailable });
  expect(await booked(billing, request.registrationId)).toMatchObject({ charged: Number(newChargeTotal) });
  expect(await causes(billing, request.registrationId)).toEqual([]);
  lost.clear();

  const { charge } = await billing.system.chargeTuition(request);

  expect(charge?.status).toBe(ChargeStatus.CHARGED);
  expect(await booked(billing, request.registrationId)).toMatchObject({ charged: Number(newChargeTotal), refunded: 0 });
});

test('a price is fixed when it is first asked for', async () => {
  await billing.setPrice('atlas', 1_000n);
  const items = [{ sectionId: 'FA26-9', credits: 0, materials: [{ materialId: 'atlas', quantity: 1 }] }];
  const request = newCharge('tok_ok', { items });
  await billing.system.chargeTuition(request);
  await billing.setPrice('atlas', 2_000n);

  const { charge } = await billing.system.chargeTuition(request);

  expect(charge?.total).toMatchObject(usd(1_000n));
});

test('a price of nothing is charged without the provider', async () => {
  const request = newCharge('', { items: [{ sectionId: 'FA26-3', credits: 0 }] });

  const { charge } = await billing.system.chargeTuition(request);

  expect(charge).toMatchObject({ status: ChargeStatus.CHARGED, total: usd(0n) });
  expect(await booked(billing, request.registrationId)).toBeUndefined();
  expect(await told(billing, request.registrationId)).toEqual(['TuitionCharged']);
});

test('a term without a rate, and a material without a price, are refused with the reason', async () => {
  const unknown = [{ sectionId: 'FA26-1', credits: 4, materials: [{ materialId: 'no-such-book', quantity: 1 }] }];

  expect(await reasonOf(billing.system.chargeTuition(newCharge('tok_ok', { termId: 'FA99' })))).toBe(
    'tuition-rate-missing',
  );
  expect(await reasonOf(billing.system.chargeTuition(newCharge('tok_ok', { items: unknown })))).toBe(
    'unknown-material',
  );
});

test('a material that the bookstore removed has no price any more', async () => {
  await billing.setPrice('old-book', 500n);
  const material = { id: 'old-book', price: usd(500n), removed: true };
  await billing.tell(newEvent(MaterialRemovedSchema, { subject: 'old-book', actor: 'staff' }, { material }));
  const items = [{ sectionId: 'FA26-1', credits: 4, materials: [{ materialId: 'old-book', quantity: 1 }] }];

  const reason = await eventually(() => reasonOf(billing.system.chargeTuition(newCharge('tok_ok', { items }))));

  expect(reason).toBe('unknown-material');
});

test('while the provider is down a charge is unavailable, and asking again charges it', async () => {
  const request = newCharge();
  await setMode('down');
  await expect(billing.system.chargeTuition(request, patient)).rejects.toMatchObject({ code: Code.Unavailable });
  await setMode('normal');

  expect((await billing.system.chargeTuition(request)).charge?.status).toBe(ChargeStatus.CHARGED);
});

test('a student sees their own account and nobody else’s, and moves no money', async () => {
  const request = newCharge();
  await billing.system.chargeTuition(request);
  const own = billing.service.client(BillingService, await tokenOf(request.studentId, 'student'));
  const other = billing.service.client(BillingService, await tokenOf('somebody', 'student'));
  const staff = billing.service.client(BillingService, await tokenOf('registrar', 'staff'));
  const denied = { code: Code.PermissionDenied };

  expect((await own.getStudentAccount({ studentId: request.studentId })).entries).toHaveLength(4);
  expect((await staff.getStudentAccount({ studentId: request.studentId })).entries).toHaveLength(4);
  await expect(other.getStudentAccount({ studentId: request.studentId })).rejects.toMatchObject(denied);
  for (const caller of [own, staff]) {
    await expect(caller.chargeTuition(newCharge())).rejects.toMatchObject(denied);
    await expect(caller.refundTuition({ registrationId: request.registrationId })).rejects.toMatchObject(denied);
    await expect(caller.refundDrop({ registrationId: randomUUID() })).rejects.toMatchObject(denied);
  }
});

async function setMode(mode: 'down' | 'normal'): Promise<void> {
  await fetch(`${billing.providerUrl}/mode`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ mode }),
  });
}
