/**
 * The undo of a registration's charge. It voids first and writes after. From the void on the provider takes nothing under that key, so
 * whenever a charge is still between its steps, either the void gives its money back or the provider refuses it.
 */
import type { HandlerContext } from '@connectrpc/connect';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Change } from '#lib/change';
import { queryIn } from '#lib/database';
import { TuitionRefundedSchema } from '#proto/billing/v1/events';
import type { RefundTuitionRequest } from '#proto/billing/v1/service';
import { type Charge, insertCharge, linesOf, lockCharge, messageOf } from './charge.ts';
import { patienceOf } from './gateway.ts';
import { leftOf, postRefund } from './ledger.ts';
import type { Till } from './payment.ts';

/** Undoes a registration's charge and refuses it from then on. @throws GatewayUnavailable */
export async function refundTuition(
  { change, gateway }: Pick<Till, 'change' | 'gateway'>,
  request: RefundTuitionRequest,
  context: HandlerContext,
): Promise<void> {
  const { registrationId, reason } = request;
  const { status } = await change(context, (within) => forbidCharge(within, request));
  if (status === 'refunded') return;
  await gateway.void(registrationId, patienceOf(context));
  await change(context, async (within) => undoCharge(within, await lockNamedCharge(within.em, registrationId), reason));
}

/** Refuses a charge that has not arrived or has failed; one that may have taken money is answered as it is, to be voided first. */
async function forbidCharge(within: Change, request: RefundTuitionRequest): Promise<Pick<Charge, 'status'>> {
  const { em, emit } = within;
  const { registrationId, studentId, reason } = request;
  const isFirst = await insertCharge(queryIn(em), { charge: tombstoneOf(registrationId, studentId), lines: [] });
  const charge = await lockNamedCharge(em, registrationId);
  if (isFirst) emit(TuitionRefundedSchema, registrationId, { charge: messageOf(charge, []) });
  else if (charge.status === 'declined' || charge.total === 0n) await undoCharge(within, charge, reason);
  return { status: charge.status };
}

function tombstoneOf(registrationId: string, studentId: string) {
  const price = { termId: '', currency: '', total: 0n, refunded: 0n, paymentMethod: '', declineCode: '' };
  return { registrationId, studentId, status: 'refunded' as const, ...price };
}

async function undoCharge({ em, emit }: Change, charge: Charge, reason: string): Promise<void> {
  if (charge.status === 'refunded') return;
  const query = queryIn(em);
  const amounts = await leftOf(query, charge.registrationId);
  const description = `Registration undone${reason && `: ${reason}`}`;
  const entries = await postRefund(query, charge, { amounts, cause: 'undo', description });
  if (charge.status === 'charged') charge.refunded = charge.total;
  charge.status = 'refunded';
  const lines = await linesOf(em, charge.registrationId);
  emit(TuitionRefundedSchema, charge.registrationId, { charge: messageOf(charge, lines), entries });
}

async function lockNamedCharge(em: EntityManager, registrationId: string): Promise<Charge> {
  const charge = await lockCharge(em, registrationId);
  if (!charge) throw new Error(`charge ${registrationId} is gone though charges are never deleted`);
  return charge;
}
