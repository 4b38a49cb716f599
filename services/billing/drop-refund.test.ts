import { randomUUID } from 'node:crypto';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { ChargeStatus } from '#proto/billing/v1/billing';
import type { ChargeTuitionRequest } from '#proto/billing/v1/service';
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

const inFullTime = '2026-09-20T12:00:00-07:00';
const atHalf = '2026-10-01T12:00:00-07:00';
const tooLate = '2026-11-01T12:00:00-07:00';
/** Of `FA26-1` in {@link newCharge}: tuition 1200.04 and fee 25.00, two books of 49.99. */
const firstAtHalf = 61_252n + 9_998n;
const firstMaterials = 9_998n;

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

function dropOf(charged: ChargeTuitionRequest, at: string, ...sectionIds: string[]) {
  return {
    registrationId: randomUUID(),
    studentId: charged.studentId,
    sections: sectionIds.map((sectionId) => ({ sectionId, enrolledBy: charged.registrationId })),
    droppedAt: timestampFromDate(new Date(at)),
  };
}

async function charged(): Promise<ChargeTuitionRequest> {
  const request = newCharge();
  await billing.system.chargeTuition(request, patient);
  return request;
}

const refundedOf = async (request: ChargeTuitionRequest) =>
  BigInt((await booked(billing, request.registrationId))?.refunded ?? 0);

test.each([
  ['everything', inFullTime, 120_004n + 2_500n + 9_998n],
  ['half of tuition and fee, and the materials', atHalf, firstAtHalf],
  ['the materials alone', tooLate, firstMaterials],
])('a drop gives back %s at %s, once', async (_what, at, amount) => {
  const request = await charged();
  const drop = dropOf(request, at, 'FA26-1');

  await Promise.all(Array.from({ length: 5 }, () => billing.system.refundDrop(drop, patient)));
  await billing.system.refundDrop(drop);

  expect(await refundedOf(request)).toBe(amount);
  expect(await cleared(billing, request.registrationId)).toBe(newChargeTotal - amount);
  expect((await account(billing, request.studentId)).slice(4)).toEqual([`refund -${amount}`, `reversal ${amount}`]);
  expect(await told(billing, drop.registrationId)).toEqual(['DropRefunded']);
});

test('materials that stay with the student stay paid, whatever a repeat says', async () => {
  const request = await charged();
  const drop = dropOf(request, atHalf, 'FA26-1');
  const sections = drop.sections.map((section) => ({ ...section, keepsMaterials: true }));

  await billing.system.refundDrop({ ...drop, sections });
  await billing.system.refundDrop(drop);

  expect(await refundedOf(request)).toBe(firstAtHalf - firstMaterials);
});

test('a section that was cancelled is paid back in full, however late', async () => {
  const request = await charged();
  const drop = dropOf(request, tooLate, 'FA26-1');
  const sections = drop.sections.map((section) => ({ ...section, sectionCancelled: true }));

  await billing.system.refundDrop({ ...drop, sections });

  expect(await refundedOf(request)).toBe(120_004n + 2_500n + 9_998n);
});

test('a drop that gives nothing back is told of, and asks the provider for nothing', async () => {
  const request = await charged();
  const drop = dropOf(request, tooLate, 'FA26-2');

  await billing.system.refundDrop(drop);

  expect(await refundedOf(request)).toBe(0n);
  expect(await causes(billing, request.registrationId)).toEqual(['charge']);
  expect(await told(billing, drop.registrationId)).toEqual(['DropRefunded']);
});

test('one drop of sections of two registrations gives back of each', async () => {
  const first = await charged();
  const second = newCharge('tok_ok', { studentId: first.studentId });
  await billing.system.chargeTuition(second);
  const drop = dropOf(first, atHalf, 'FA26-1');
  const sections = [...drop.sections, { sectionId: 'FA26-2', enrolledBy: second.registrationId }];

  await billing.system.refundDrop({ ...drop, sections });

  expect(await refundedOf(first)).toBe(firstAtHalf);
  expect(await refundedOf(second)).toBe(30_001n);
});

test('ten drops of the same section that race give it back once', async () => {
  const request = await charged();

  await Promise.all(
    Array.from({ length: 10 }, () => billing.system.refundDrop(dropOf(request, atHalf, 'FA26-1'), patient)),
  );

  expect(await refundedOf(request)).toBe(firstAtHalf);
  expect(await causes(billing, request.registrationId)).toEqual(['charge', 'drop FA26-1']);
});

test('an undo after a drop gives back the rest, and a drop after an undo nothing', async () => {
  const request = await charged();
  await billing.system.refundDrop(dropOf(request, atHalf, 'FA26-1'));

  await billing.system.refundTuition(undoOf(request));
  await billing.system.refundDrop(dropOf(request, atHalf, 'FA26-2'));

  expect(await refundedOf(request)).toBe(newChargeTotal);
  expect(await cleared(billing, request.registrationId)).toBe(0n);
  expect(await causes(billing, request.registrationId)).toEqual(['charge', 'drop FA26-1', 'undo']);
  const { balance } = await billing.system.getStudentAccount({ studentId: request.studentId });
  expect(balance?.amount).toBe(0n);
});

test('drops that race with the undo of their charge never give back more than was charged', async () => {
  const requests = await Promise.all(Array.from({ length: 30 }, charged));

  await Promise.all(
    requests.flatMap((request) => {
      const drops = ['FA26-1', 'FA26-2'].map((sectionId) => dropOf(request, atHalf, sectionId));
      return [
        ...drops.map((drop) => persistently(() => billing.system.refundDrop(drop))),
        persistently(() => billing.system.refundTuition(undoOf(request), patient)),
      ];
    }),
  );

  for (const request of requests) {
    expect(await refundedOf(request)).toBe(newChargeTotal);
    expect(await cleared(billing, request.registrationId)).toBe(0n);
  }
  const open = await billing.query("select from drop_refunds where status = 'requested'");
  expect(open).toHaveLength(0);
});

test('a drop in the middle of its call of the provider is covered by an undo that comes in between', async () => {
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = await startBilling(
    withGateway((real) => ({
      refund: async (repayment, patience) => {
        const answer = await real.refund(repayment, patience);
        await held;
        return answer;
      },
    })),
  );
  const request = newCharge();
  await slow.system.chargeTuition(request);
  const dropping = slow.system.refundDrop(dropOf(request, atHalf, 'FA26-1'), patient);
  await eventually(async () => (await booked(slow, request.registrationId))?.refunded === Number(firstAtHalf));
  await slow.system.refundTuition(undoOf(request));
  release();
  await dropping;

  expect(await causes(slow, request.registrationId)).toEqual(['charge', 'undo']);
  expect(await slow.query("select from drop_refunds where status = 'covered'")).toHaveLength(1);
  expect(await disagreements(slow)).toEqual([]);
  await slow.stop();
});

test('what was never charged gives nothing back', async () => {
  const declined = newCharge('tok_declined');
  await billing.system.chargeTuition(declined).catch(() => undefined);

  for (const request of [declined, newCharge()]) {
    const drop = dropOf(request, inFullTime, 'FA26-1');
    await billing.system.refundDrop(drop);
    expect(await told(billing, drop.registrationId)).toEqual([]);
  }
  const unlisted = dropOf(await charged(), inFullTime, 'FA26-99');
  await billing.system.refundDrop(unlisted);
  expect(await told(billing, unlisted.registrationId)).toEqual([]);
});

test('a drop while its charge is not decided is asked for again later', async () => {
  const request = newCharge();
  lost.add(request.registrationId);
  await expect(billing.system.chargeTuition(request, patient)).rejects.toMatchObject({ code: Code.Unavailable });
  lost.clear();
  const drop = dropOf(request, atHalf, 'FA26-1');

  await expect(billing.system.refundDrop(drop, patient)).rejects.toMatchObject({ code: Code.Unavailable });
  expect((await billing.system.chargeTuition(request)).charge?.status).toBe(ChargeStatus.CHARGED);
  await billing.system.refundDrop(drop);

  expect(await refundedOf(request)).toBe(firstAtHalf);
});

test('one student’s drop gives nothing back of another’s charge', async () => {
  const request = await charged();
  const drop = { ...dropOf(request, inFullTime, 'FA26-1'), studentId: 'somebody-else' };

  await expect(billing.system.refundDrop(drop)).rejects.toMatchObject({ code: Code.InvalidArgument });
  expect(await refundedOf(request)).toBe(0n);
});
