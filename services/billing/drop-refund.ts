/**
 * What a drop gives back. Each dropped section is written down with its amount before the provider is asked, and posted after, so a
 * repeat goes on where the last one stopped, and a section of a charge is given back by one drop at most.
 */

import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { HandlerContext } from '@connectrpc/connect';
import { defineEntity, type EntityManager, p } from '@mikro-orm/postgresql';
import { invalid } from '#lib/argument';
import type { Change } from '#lib/change';
import { queryIn } from '#lib/database';
import type { AccountEntry } from '#proto/billing/v1/billing';
import { DropRefundedSchema } from '#proto/billing/v1/events';
import type { RefundDropRequest_DroppedSection as DroppedSection, RefundDropRequest } from '#proto/billing/v1/service';
import { type Charge, ChargeLine, linesOf, lockCharges, messageOf } from './charge.ts';
import { GatewayUnavailable, patienceOf, type Repayment } from './gateway.ts';
import { postRefund } from './ledger.ts';
import type { Till } from './payment.ts';
import { dropShare, totalOf } from './price.ts';
import { TuitionRate } from './rate.ts';

/** `covered`: the whole charge was undone before this part of it was posted, and that gave it back. */
const DropRefundEntity = defineEntity({
  name: 'DropRefund',
  tableName: 'drop_refunds',
  properties: {
    chargeId: p.uuid().primary(),
    sectionId: p.string().primary(),
    dropId: p.uuid(),
    percent: p.integer(),
    tuition: p.bigint(),
    fee: p.bigint(),
    materials: p.bigint(),
    status: p.enum(['requested', 'refunded', 'covered'] as const),
  },
});
export class DropRefund extends DropRefundEntity.class {}
DropRefundEntity.setClass(DropRefund);

/** Gives back what the term's schedule says for the dropped sections, and everything for those that were cancelled. @throws GatewayUnavailable */
export async function refundDrop(
  { change, gateway }: Pick<Till, 'change' | 'gateway'>,
  request: RefundDropRequest,
  context: HandlerContext,
): Promise<void> {
  const repayments = await change(context, ({ em }) => requestRefunds(em, request));
  for (const repayment of repayments) {
    const outcome = await gateway.refund(repayment, patienceOf(context));
    // An undo has voided the charge and is about to write it down; a repeat finds that done.
    if (outcome === 'exceeds-payment') throw new GatewayUnavailable(`charge ${repayment.paymentKey} is being undone`);
  }
  await change(context, (within) => settleRefunds(within, request));
}

/** Fixes what each section gives back. @returns what the provider has yet to be asked for. */
async function requestRefunds(em: EntityManager, request: RefundDropRequest): Promise<Repayment[]> {
  if (!request.droppedAt) throw invalid('dropped_at', 'must be set');
  const droppedAt = timestampDate(request.droppedAt);
  const { registrationId: dropId, studentId, sections } = request;
  const charges = await lockedById(
    em,
    sections.map(({ enrolledBy }) => enrolledBy),
  );
  for (const dropped of sections) {
    const { enrolledBy } = dropped;
    const charge = charges.get(enrolledBy);
    if (charge && charge.studentId !== studentId) {
      throw invalid('student_id', 'the section was charged to another student');
    }
    if (charge?.status === 'requested') throw new GatewayUnavailable(`charge ${enrolledBy} is not decided yet`);
    if (charge?.status === 'charged') await requestRefund(em, { charge, dropped, dropId, droppedAt });
  }
  await em.flush();
  const open = await openRefunds(em, dropId);
  return open
    .filter((refund) => totalOf(refund) > 0n && charges.get(refund.chargeId)?.status === 'charged')
    .map((refund) => ({
      paymentKey: refund.chargeId,
      key: `drop ${dropId} ${refund.sectionId}`,
      amount: totalOf(refund),
    }));
}

async function requestRefund(
  em: EntityManager,
  { charge, dropped, dropId, droppedAt }: { charge: Charge; dropped: DroppedSection; dropId: string; droppedAt: Date },
): Promise<void> {
  const { sectionId, keepsMaterials, sectionCancelled } = dropped;
  const { registrationId: chargeId, termId } = charge;
  const line = await em.findOne(ChargeLine, { registrationId: chargeId, sectionId });
  const known = await em.findOne(DropRefund, { chargeId, sectionId });
  if (!line || known) return;
  const rate = await em.findOneOrFail(TuitionRate, termId);
  const percent = sectionCancelled ? 100 : rate.percentAt(droppedAt);
  const share = dropShare(line, percent, keepsMaterials);
  em.create(DropRefund, { chargeId, sectionId, dropId, percent, ...share, status: 'requested' });
}

/** Posts what was given back and tells of it, unless another call has. */
async function settleRefunds({ em, emit }: Change, request: RefundDropRequest): Promise<void> {
  const { registrationId: dropId, studentId, sections } = request;
  const charges = await lockedById(
    em,
    sections.map(({ enrolledBy }) => enrolledBy),
  );
  const refunds = await openRefunds(em, dropId);
  const entries: AccountEntry[] = [];
  for (const refund of refunds) {
    const charge = charges.get(refund.chargeId);
    if (charge) entries.push(...(await settleRefund(em, charge, refund)));
  }
  if (refunds.length === 0) return;
  const touched = [...charges.values()].filter((charge) =>
    refunds.some((refund) => refund.chargeId === charge.registrationId),
  );
  const messages = await Promise.all(
    touched.map(async (charge) => messageOf(charge, await linesOf(em, charge.registrationId))),
  );
  emit(DropRefundedSchema, dropId, { registrationId: dropId, studentId, charges: messages, entries });
}

async function settleRefund(em: EntityManager, charge: Charge, refund: DropRefund): Promise<AccountEntry[]> {
  if (charge.status === 'refunded') {
    refund.status = 'covered';
    return [];
  }
  refund.status = 'refunded';
  charge.refunded += totalOf(refund);
  const { sectionId, percent } = refund;
  return postRefund(queryIn(em), charge, {
    amounts: refund,
    cause: `drop ${sectionId}`,
    description: `Dropped ${sectionId}: ${percent} % of tuition and fees${refund.materials > 0n ? ', materials in full' : ''}`,
  });
}

async function lockedById(em: EntityManager, registrationIds: string[]): Promise<Map<string, Charge>> {
  const charges = await lockCharges(em, [...new Set(registrationIds)]);
  return new Map(charges.map((charge) => [charge.registrationId, charge]));
}

function openRefunds(em: EntityManager, dropId: string): Promise<DropRefund[]> {
  return em.find(DropRefund, { dropId, status: 'requested' }, { orderBy: { chargeId: 'asc', sectionId: 'asc' } });
}
