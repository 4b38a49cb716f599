/**
 * The charge of a registration. Money moves outside of transactions: what will be asked of the provider is written down before, and what
 * it answered after, so that a repeat after any crash goes on where the last one stopped. Its undo is undo.ts.
 */
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { type ChangeInSql, timeoutOf } from '#lib/change';
import { inTransaction, type Query } from '#lib/database';
import { Refusal } from '#lib/refusal';
import type { Parts } from '#lib/service';
import type { Charge as ChargeMessage } from '#proto/billing/v1/billing';
import { TuitionChargedSchema, TuitionDeclinedSchema } from '#proto/billing/v1/events';
import type { ChargeTuitionRequest } from '#proto/billing/v1/service';
import { insertCharge, lockPricedCharge, messageOf, type PricedCharge } from './charge.ts';
import { type PaymentAnswer, type PaymentGateway, patienceOf } from './gateway.ts';
import { postCharge } from './ledger.ts';
import { pricesOf } from './material-price.ts';
import { addUp, type Price, priceOf } from './price.ts';
import { readPerCredit } from './rate.ts';

/** What moving money needs. */
export type Till = Pick<Parts, 'change' | 'changeInSql' | 'database'> & { gateway: PaymentGateway };

/** Charges a registration's price, once. @throws Refusal, GatewayUnavailable */
export async function chargeTuition(
  till: Till,
  request: ChargeTuitionRequest,
  context: HandlerContext,
): Promise<ChargeMessage> {
  const { database, changeInSql, gateway } = till;
  const limits = { timeoutMs: timeoutOf(context), byKey: true };
  const asked = await inTransaction(database.pool, limits, (query) => requestCharge(query, request));
  if (asked.charge.status !== 'requested') return answerOf(asked);
  const answer = await ask(gateway, asked, context);
  const settled = await changeInSql(context, (within) => settleCharge(within, request.registrationId, answer));
  // The undo came in between. It has voided already; a void too many is harmless, one too few would keep a student's money.
  if (settled.charge.status === 'refunded' && answer.outcome === 'charged' && asked.charge.total > 0n) {
    await gateway.void(request.registrationId, patienceOf(context));
  }
  return answerOf(settled);
}

/** Fixes the price and writes down that the provider will be asked; a repeat finds what the first call wrote. */
async function requestCharge(query: Query, request: ChargeTuitionRequest): Promise<PricedCharge> {
  const { registrationId, studentId, termId, paymentMethod } = request;
  const known = await lockPricedCharge(query, registrationId);
  if (known) return known;
  const { lines, total, currency } = await currentPrice(query, request);
  const named = { registrationId, studentId, termId, paymentMethod, declineCode: '', status: 'requested' as const };
  const asked = { charge: { ...named, currency, total, refunded: 0n }, lines };
  if (await insertCharge(query, asked)) return asked;
  return lockNamedCharge(query, registrationId);
}

/** A charge that somebody has named before. */
async function lockNamedCharge(query: Query, registrationId: string): Promise<PricedCharge> {
  const named = await lockPricedCharge(query, registrationId);
  if (!named) throw new Error(`charge ${registrationId} is gone though charges are never deleted`);
  return named;
}

async function currentPrice(query: Query, { termId, items }: ChargeTuitionRequest): Promise<Price> {
  checkItems(items);
  const perCredit = await readPerCredit(query, termId);
  if (!perCredit) {
    const sentence = `Nobody has set what a credit costs in ${termId}.`;
    throw new Refusal('tuition-rate-missing', sentence, 'Ask the registrar to set the tuition rate of the term.');
  }
  const materialIds = items.flatMap(({ materials }) => materials.map(({ materialId }) => materialId));
  const prices = materialIds.length > 0 ? await pricesOf(query, materialIds) : new Map();
  return priceOf(items, perCredit, prices);
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

async function ask(gateway: PaymentGateway, { charge }: PricedCharge, context: HandlerContext): Promise<PaymentAnswer> {
  const { registrationId: key, total: amount, currency, paymentMethod: card } = charge;
  if (amount === 0n) return { outcome: 'charged' };
  // Everything comes from the row, so that each repeat asks for the very same.
  return gateway.charge({ key, amount, currency, card, description: `Registration ${key}` }, patienceOf(context));
}

/** Writes down what the provider answered, unless another call has, or the undo came in between. */
async function settleCharge(
  { query, emit }: ChangeInSql,
  registrationId: string,
  answer: PaymentAnswer,
): Promise<PricedCharge> {
  const { charge, lines } = await lockNamedCharge(query, registrationId);
  if (charge.status !== 'requested') return { charge, lines };
  // Only an undo voids, and it will write that down itself.
  if (answer.outcome === 'voided') return { charge: { ...charge, status: 'refunded' }, lines };
  if (answer.outcome === 'declined') {
    const declined = { ...charge, status: 'declined' as const, declineCode: answer.code };
    await writeOutcome(query, declined);
    emit(TuitionDeclinedSchema, registrationId, { charge: messageOf(declined, lines), reason: 'payment-declined' });
    return { charge: declined, lines };
  }
  const charged = { ...charge, status: 'charged' as const };
  await writeOutcome(query, charged);
  const sectionIds = lines.map(({ sectionId }) => sectionId);
  const entries = await postCharge(query, charged, { amounts: addUp(lines), sectionIds });
  emit(TuitionChargedSchema, registrationId, { charge: messageOf(charged, lines), entries });
  return { charge: charged, lines };
}

async function writeOutcome(
  query: Query,
  { registrationId, status, declineCode }: Pick<PricedCharge['charge'], 'registrationId' | 'status' | 'declineCode'>,
): Promise<void> {
  await query('update charges set status = $2, decline_code = $3 where registration_id = $1', [
    registrationId,
    status,
    declineCode,
  ]);
}

function answerOf({ charge, lines }: PricedCharge): ChargeMessage {
  if (charge.status === 'charged') return messageOf(charge, lines);
  if (charge.status === 'declined') throw declined(charge.declineCode);
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
