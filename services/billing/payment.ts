/**
 * The charge of a registration and its undo. Money moves outside of transactions: what will be asked of the provider is written down
 * before, and what it answered after, so that a repeat after any crash goes on where the last one stopped.
 *
 * The undo voids first and writes after. From the void on the provider takes nothing under that key, so whenever a charge is still
 * between its steps, either the void gives its money back or the provider refuses it.
 */
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import type { EntityManager } from '@mikro-orm/postgresql';
import { queryIn } from '#lib/database';
import { Refusal } from '#lib/refusal';
import type { Change, Parts } from '#lib/service';
import type { Charge as ChargeMessage } from '#proto/billing/v1/billing';
import { TuitionChargedSchema, TuitionDeclinedSchema, TuitionRefundedSchema } from '#proto/billing/v1/events';
import type { ChargeTuitionRequest, RefundTuitionRequest } from '#proto/billing/v1/service';
import { Charge, ChargeLine, linesOf, lockCharge } from './charge.ts';
import { pricesOf } from './followers.ts';
import type { Patience, PaymentAnswer, PaymentGateway } from './gateway.ts';
import { leftOf, postCharge, postRefund } from './ledger.ts';
import { addUp, type Price, priceOf } from './price.ts';
import { TuitionRate } from './rate.ts';

const GATEWAY_TIMEOUT_MS = 3_000;

/** What moving money needs. */
export interface Till {
  change: Parts['change'];
  gateway: PaymentGateway;
}

/** Until the caller's deadline, but never longer than {@link GATEWAY_TIMEOUT_MS}. */
export function patienceOf(context: HandlerContext): Patience {
  const timeoutMs = Math.min(GATEWAY_TIMEOUT_MS, context.timeoutMs() ?? GATEWAY_TIMEOUT_MS);
  return { timeoutMs, signal: context.signal };
}

/** Charges a registration's price, once. @throws Refusal, GatewayUnavailable */
export async function chargeTuition(
  { change, gateway }: Till,
  request: ChargeTuitionRequest,
  context: HandlerContext,
): Promise<ChargeMessage> {
  const asked = await change(context, ({ em }) => requestCharge(em, request));
  if (asked.status !== 'requested') return answerOf(asked);
  const answer = await ask(gateway, asked, patienceOf(context));
  const settled = await change(context, (within) => settleCharge(within, asked.registrationId, answer));
  // The undo came in between. It has voided already; a void too many is harmless, one too few would keep a student's money.
  if (settled.status === 'refunded' && answer.outcome === 'charged' && asked.total > 0n) {
    await gateway.void(asked.registrationId, patienceOf(context));
  }
  return answerOf(settled);
}

/** Undoes a registration's charge and refuses it from then on. @throws GatewayUnavailable */
export async function refundTuition(
  { change, gateway }: Till,
  request: RefundTuitionRequest,
  context: HandlerContext,
): Promise<void> {
  const charge = await change(context, (within) => forbidCharge(within, request));
  if (charge.status === 'refunded') return;
  await gateway.void(charge.registrationId, patienceOf(context));
  await change(context, async (within) => {
    const voided = await lockCharge(within.em, charge.registrationId);
    if (voided) await undoCharge(within, voided, request.reason);
  });
}

interface Standing {
  registrationId: string;
  status: Charge['status'];
  currency: string;
  total: bigint;
  paymentMethod: string;
  declineCode: string;
  message: ChargeMessage;
}

function standingOf(charge: Charge, lines: readonly ChargeLine[]): Standing {
  const { registrationId, status, currency, total, paymentMethod, declineCode } = charge;
  return { registrationId, status, currency, total, paymentMethod, declineCode, message: charge.toMessage(lines) };
}

/** A charge that somebody has named before, locked. */
async function readStanding(em: EntityManager, registrationId: string): Promise<Standing | undefined> {
  const charge = await lockCharge(em, registrationId);
  return charge ? standingOf(charge, await linesOf(em, registrationId)) : undefined;
}

/** Fixes the price and writes down that the provider will be asked; a repeat finds what the first call wrote. */
async function requestCharge(em: EntityManager, request: ChargeTuitionRequest): Promise<Standing> {
  const known = await readStanding(em, request.registrationId);
  if (known) return known;
  const price = await currentPrice(em, request);
  const { registrationId, studentId, termId, paymentMethod } = request;
  const row = { registrationId, studentId, termId, paymentMethod, status: 'requested' as const };
  if (!(await insertCharge(em, { ...row, price }))) {
    const earlier = await readStanding(em, registrationId);
    if (!earlier) throw new Error(`charge ${registrationId} is gone though charges are never deleted`);
    return earlier;
  }
  const lines = price.lines.map((priced, line) => em.create(ChargeLine, { registrationId, line, ...priced }));
  await em.flush();
  const { total, currency } = price;
  const stored = { ...row, total, currency, refunded: 0n, declineCode: '' };
  return standingOf(em.create(Charge, stored, { persist: false }), lines);
}

async function currentPrice(em: EntityManager, { termId, items }: ChargeTuitionRequest): Promise<Price> {
  checkItems(items);
  const rate = await em.findOne(TuitionRate, termId);
  if (!rate) {
    const sentence = `Nobody has set what a credit costs in ${termId}.`;
    throw new Refusal('tuition-rate-missing', sentence, 'Ask the registrar to set the tuition rate of the term.');
  }
  const materialIds = items.flatMap(({ materials }) => materials.map(({ materialId }) => materialId));
  const prices = await pricesOf(queryIn(em), materialIds);
  return priceOf(items, { amount: rate.perCredit, currency: rate.currency }, prices);
}

function checkItems(items: ChargeTuitionRequest['items']): void {
  const isNegative = items.some(
    ({ credits, fee, materials }) =>
      credits < 0 || (fee?.amount ?? 0n) < 0n || materials.some(({ quantity }) => quantity < 0),
  );
  if (isNegative) throw new ConnectError('credits, fees and quantities are not negative', Code.InvalidArgument);
  if (new Set(items.map(({ sectionId }) => sectionId)).size < items.length) {
    throw new ConnectError('a section is charged once', Code.InvalidArgument);
  }
}

/** @returns whether this call is the first to name the registration. */
async function insertCharge(
  em: EntityManager,
  row: Pick<Charge, 'registrationId' | 'studentId' | 'termId' | 'paymentMethod' | 'status'> & {
    price: Omit<Price, 'lines'>;
  },
): Promise<boolean> {
  const { registrationId, studentId, termId, paymentMethod, status, price } = row;
  const inserted = await queryIn(em)(
    `insert into charges (registration_id, student_id, term_id, status, currency, total, payment_method)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing returning registration_id`,
    [registrationId, studentId, termId, status, price.currency, price.total, paymentMethod],
  );
  return inserted.length > 0;
}

async function ask(gateway: PaymentGateway, charge: Standing, patience: Patience): Promise<PaymentAnswer> {
  const { registrationId: key, total: amount, currency, paymentMethod: card } = charge;
  if (amount === 0n) return { outcome: 'charged' };
  // Everything comes from the row, so that each repeat asks for the very same.
  return gateway.charge({ key, amount, currency, card, description: `Registration ${key}` }, patience);
}

/** Writes down what the provider answered, unless another call has, or the undo came in between. */
async function settleCharge({ em, emit }: Change, registrationId: string, answer: PaymentAnswer): Promise<Standing> {
  const charge = await lockCharge(em, registrationId);
  if (!charge) throw new Error(`charge ${registrationId} is gone though charges are never deleted`);
  const lines = await linesOf(em, registrationId);
  if (charge.status !== 'requested') return standingOf(charge, lines);
  // Only an undo voids, and it will write that down itself.
  if (answer.outcome === 'voided') return { ...standingOf(charge, lines), status: 'refunded' };
  if (answer.outcome === 'declined') {
    charge.status = 'declined';
    charge.declineCode = answer.code;
    emit(TuitionDeclinedSchema, registrationId, { charge: charge.toMessage(lines), reason: 'payment-declined' });
  } else {
    charge.status = 'charged';
    const sectionIds = lines.map(({ sectionId }) => sectionId);
    const entries = await postCharge(queryIn(em), charge, { amounts: addUp(lines), sectionIds });
    emit(TuitionChargedSchema, registrationId, { charge: charge.toMessage(lines), entries });
  }
  return standingOf(charge, lines);
}

function answerOf({ status, declineCode, message }: Standing): ChargeMessage {
  if (status === 'charged') return message;
  if (status === 'declined') throw declined(declineCode);
  throw new Refusal('charge-refunded', 'This registration was undone before it was charged.');
}

const declineSentences: Record<string, string> = {
  'insufficient-funds': 'The card does not cover the price.',
  'unknown-card': 'The payment provider does not know this card.',
};

function declined(code: string): Refusal {
  const sentence = declineSentences[code] ?? 'The card was declined.';
  return new Refusal('payment-declined', sentence, 'Register again with another payment method.');
}

/** Refuses a charge that has not arrived or has failed; one that may have taken money is answered as it is, to be voided first. */
async function forbidCharge(
  within: Change,
  request: RefundTuitionRequest,
): Promise<Pick<Charge, 'registrationId' | 'status'>> {
  const { em, emit } = within;
  const { registrationId, studentId, reason } = request;
  const price = { total: 0n, currency: '' };
  const row = { registrationId, studentId, termId: '', paymentMethod: '', status: 'refunded' as const, price };
  const isFirst = await insertCharge(em, row);
  const charge = await lockCharge(em, registrationId);
  if (!charge) throw new Error(`charge ${registrationId} is gone though charges are never deleted`);
  if (isFirst) emit(TuitionRefundedSchema, registrationId, { charge: charge.toMessage([]) });
  else if (charge.status === 'declined' || charge.total === 0n) await undoCharge(within, charge, reason);
  return { registrationId: charge.registrationId, status: charge.status };
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
  emit(TuitionRefundedSchema, charge.registrationId, { charge: charge.toMessage(lines), entries });
}
