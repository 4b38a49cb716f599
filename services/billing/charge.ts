/** The price of one registration, and where its money is. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { defineEntity, type EntityManager, LockMode, p } from '@mikro-orm/postgresql';
import { fromWord } from '#lib/words';
import { type Charge as ChargeMessage, ChargeSchema, ChargeStatusSchema } from '#proto/billing/v1/billing';

/** A refunded charge without a price is a tombstone: its undo came before it. */
const ChargeEntity = defineEntity({
  name: 'Charge',
  tableName: 'charges',
  properties: {
    registrationId: p.uuid().primary(),
    studentId: p.string(),
    termId: p.string(),
    status: p.enum(['requested', 'charged', 'declined', 'refunded'] as const),
    currency: p.string(),
    total: p.bigint(),
    refunded: p.bigint(),
    paymentMethod: p.string(),
    declineCode: p.string(),
  },
});
export class Charge extends ChargeEntity.class {
  toMessage(lines: readonly ChargeLine[]): ChargeMessage {
    const { registrationId, studentId, termId, currency } = this;
    return create(ChargeSchema, {
      registrationId,
      studentId,
      termId,
      status: fromWord<ChargeMessage['status']>(ChargeStatusSchema, this.status),
      lines: lines.map((line) => line.toInit(currency)),
      total: { amount: this.total, currency },
      refunded: { amount: this.refunded, currency },
    });
  }
}
ChargeEntity.setClass(Charge);

const ChargeLineEntity = defineEntity({
  name: 'ChargeLine',
  tableName: 'charge_lines',
  properties: {
    registrationId: p.uuid().primary(),
    sectionId: p.string().primary(),
    line: p.integer(),
    tuition: p.bigint(),
    fee: p.bigint(),
    materials: p.bigint(),
  },
});
export class ChargeLine extends ChargeLineEntity.class {
  toInit(currency: string): NonNullable<MessageInitShape<typeof ChargeSchema>['lines']>[number] {
    const { sectionId, tuition, fee, materials } = this;
    const money = (amount: bigint) => ({ amount, currency });
    return { sectionId, tuition: money(tuition), fee: money(fee), materials: money(materials) };
  }
}
ChargeLineEntity.setClass(ChargeLine);

/** A registration's charge, locked until the transaction ends. */
export function lockCharge(em: EntityManager, registrationId: string): Promise<Charge | null> {
  return em.findOne(Charge, registrationId, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** Several charges, locked in the order of their ids, so that two who lock some of the same wait and do not deadlock. */
export function lockCharges(em: EntityManager, registrationIds: string[]): Promise<Charge[]> {
  return em.find(
    Charge,
    { registrationId: { $in: registrationIds } },
    { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { registrationId: 'asc' } },
  );
}

/** In the order in which they were asked for. */
export function linesOf(em: EntityManager, registrationId: string): Promise<ChargeLine[]> {
  return em.find(ChargeLine, { registrationId }, { orderBy: { line: 'asc' } });
}
