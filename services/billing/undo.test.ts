import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refusalOf } from '#lib/refusal';
import { eventually } from '#lib/testing';
import { GatewayUnavailable, type PaymentGateway } from './gateway.ts';
import {
  account,
  type BillingUnderTest,
  booked,
  causes,
  cleared,
  disagreements,
  losingAnswers,
  newCharge,
  newChargeTotal,
  patient,
  persistently,
  startBilling,
  told,
  undoOf,
  withGateway,
} from './testing.ts';

const total = Number(newChargeTotal);
const reasonOf = async (asked: Promise<unknown>) => refusalOf(await asked.catch((error: unknown) => error))?.reason;

describe('undoing a charge', () => {
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

  test('gives everything back once, however often it is asked for', async () => {
    const request = newCharge();
    await billing.system.chargeTuition(request);

    const undo = undoOf(request);
    await Promise.all(Array.from({ length: 10 }, () => billing.system.refundTuition(undo, patient)));
    await billing.system.refundTuition(undo);

    expect(await booked(billing, request.registrationId)).toMatchObject({ charged: total, refunded: total });
    expect(await causes(billing, request.registrationId)).toEqual(['charge', 'undo']);
    expect(await told(billing, request.registrationId)).toEqual(['TuitionCharged', 'TuitionRefunded']);
    expect((await account(billing, request.studentId)).slice(4)).toEqual([`refund -${total}`, `reversal ${total}`]);
    const { balance } = await billing.system.getStudentAccount({ studentId: request.studentId });
    expect(balance?.amount).toBe(0n);
  });

  test('a charge that arrives after its undo is refused, and takes nothing', async () => {
    const request = newCharge();
    await billing.system.refundTuition(undoOf(request));
    await billing.system.refundTuition(undoOf(request));

    expect(await reasonOf(billing.system.chargeTuition(request))).toBe('charge-refunded');
    expect(await booked(billing, request.registrationId)).toBeUndefined();
    expect(await told(billing, request.registrationId)).toEqual(['TuitionRefunded']);
  });

  test('a charge that is asked for again after its undo is refused', async () => {
    const request = newCharge();
    await billing.system.chargeTuition(request);
    await billing.system.refundTuition(undoOf(request));

    expect(await reasonOf(billing.system.chargeTuition(request))).toBe('charge-refunded');
    expect(await cleared(billing, request.registrationId)).toBe(0n);
  });

  test('a charge whose answer was lost is given back, and was never in the ledger', async () => {
    const request = newCharge();
    lost.add(request.registrationId);
    await expect(billing.system.chargeTuition(request, patient)).rejects.toMatchObject({ code: Code.Unavailable });
    expect(await booked(billing, request.registrationId)).toMatchObject({ charged: total, refunded: 0 });

    await billing.system.refundTuition(undoOf(request));

    expect(await booked(billing, request.registrationId)).toMatchObject({ charged: total, refunded: total });
    expect(await causes(billing, request.registrationId)).toEqual([]);
    expect(await account(billing, request.studentId)).toEqual([]);
    expect(await reasonOf(billing.system.chargeTuition(request))).toBe('charge-refunded');
  });

  test.each([
    ['a declined charge', newCharge('tok_declined')],
    ['a charge of nothing', newCharge('', { items: [] })],
  ])('%s needs nothing of the provider', async (_what, request) => {
    await billing.system.chargeTuition(request).catch(() => undefined);
    const before = await booked(billing, request.registrationId);

    await billing.system.refundTuition(undoOf(request));

    expect(await booked(billing, request.registrationId)).toEqual(before);
    expect(await reasonOf(billing.system.chargeTuition(request))).toBe('charge-refunded');
  });

  test('forty charges that race with their undo, both twice, all end given back', async () => {
    const requests = Array.from({ length: 40 }, (_, index) => newCharge(index % 2 === 0 ? 'tok_ok' : 'tok_flaky'));

    const outcomes = await Promise.all(
      requests.map((request) => {
        const steps = [
          () => billing.system.chargeTuition(request, patient),
          () => billing.system.refundTuition(undoOf(request), patient),
        ];
        return Promise.allSettled([...steps, ...steps].map((step) => persistently<object>(step)));
      }),
    );

    const failures = outcomes.flat().filter((outcome) => outcome.status === 'rejected');
    // A charge is refused where the undo won; nothing else may fail.
    const reasons = failures.map(({ reason }) => refusalOf(reason)?.reason ?? reason);
    expect(reasons.filter((reason) => reason !== 'charge-refunded')).toEqual([]);
    for (const request of requests) {
      const book = await booked(billing, request.registrationId);
      expect(book?.refunded ?? 0).toBe(book?.charged ?? 0);
      expect(await cleared(billing, request.registrationId)).toBe(0n);
      expect([[], ['charge', 'undo']]).toContainEqual(await causes(billing, request.registrationId));
    }
  });
});

describe('an undo in the middle of a charge’s call of the provider', () => {
  /** Undoes a charge that the provider has taken, and holds the provider's answer back from billing until it is released. */
  async function undoWithin(change: (real: PaymentGateway) => Partial<PaymentGateway>) {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const billing = await startBilling(
      withGateway((real) => ({
        charge: async (payment, patience) => {
          const answer = await real.charge(payment, patience);
          await held;
          return answer;
        },
        ...change(real),
      })),
    );
    const request = newCharge();
    const charging = reasonOf(billing.system.chargeTuition(request, patient));
    await eventually(async () => (await booked(billing, request.registrationId))?.status === 'charged');
    const undoing = billing.system.refundTuition(undoOf(request), patient);
    return { billing, request, charging, undoing, release };
  }

  test('gives the money back, and the charge is refused when its answer comes', async () => {
    const { billing, request, charging, undoing, release } = await undoWithin(() => ({}));
    await undoing;
    release();

    expect(await charging).toBe('charge-refunded');
    expect(await booked(billing, request.registrationId)).toMatchObject({ charged: total, refunded: total });
    expect(await causes(billing, request.registrationId)).toEqual([]);
    expect(await told(billing, request.registrationId)).toEqual(['TuitionRefunded']);
    expect(await disagreements(billing)).toEqual([]);
    await billing.stop();
  });

  test('reverses the charge where its answer is written between the void and the undo', async () => {
    let releaseVoid: () => void = () => undefined;
    let isVoided = false;
    const heldVoid = new Promise<void>((resolve) => {
      releaseVoid = resolve;
    });
    const { billing, request, charging, undoing, release } = await undoWithin((real) => ({
      void: async (key, patience) => {
        await real.void(key, patience);
        isVoided = true;
        await heldVoid;
      },
    }));
    await eventually(() => isVoided);
    release();
    expect(await charging).toBeUndefined();
    releaseVoid();
    await undoing;

    expect(await causes(billing, request.registrationId)).toEqual(['charge', 'undo']);
    expect(await disagreements(billing)).toEqual([]);
    expect(await cleared(billing, request.registrationId)).toBe(0n);
    await billing.stop();
  });

  test('without its void would keep the money: the harness sees it', async () => {
    const { billing, request, charging, undoing, release } = await undoWithin(() => ({ void: async () => undefined }));
    await undoing;
    release();

    expect(await charging).toBe('charge-refunded');
    expect(await disagreements(billing)).toEqual([request.registrationId]);
    await billing.stop();
  });
});

test('an undo whose void took effect without an answer is finished by its repeat', async () => {
  let isLost = true;
  const billing = await startBilling(
    withGateway((real) => ({
      void: async (key, patience) => {
        await real.void(key, patience);
        if (isLost) throw new GatewayUnavailable('the answer was lost');
      },
    })),
  );
  const request = newCharge();
  await billing.system.chargeTuition(request);

  await expect(billing.system.refundTuition(undoOf(request), patient)).rejects.toMatchObject({
    code: Code.Unavailable,
  });
  expect(await causes(billing, request.registrationId)).toEqual(['charge']);
  isLost = false;
  await billing.system.refundTuition(undoOf(request));

  expect(await causes(billing, request.registrationId)).toEqual(['charge', 'undo']);
  expect(await disagreements(billing)).toEqual([]);
  await billing.stop();
});
