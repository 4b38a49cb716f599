/** The price of one registration, and where its money is. */
import { create } from '@bufbuild/protobuf';
import { defineEntity, type EntityManager, LockMode, p } from '@mikro-orm/postgresql';
import type { Query } from '#lib/database';
import { fromWord } from '#lib/words';
import { type Charge as ChargeMessage, ChargeSchema, ChargeStatusSchema } from '#proto/billing/v1/billing';
import type { PricedLine } from './price.ts';

const STATUSES = ['requested', 'charged', 'declined', 'refunded'] as const;
export type ChargeStatus = (typeof STATUSES)[number];

/** A refunded charge without a price is a tombstone: its undo came before it. */
const ChargeEntity = defineEntity({
  name: 'Charge',
  tableName: 'charges',
  properties: {
    registrationId: p.uuid().primary(),
    studentId: p.string(),
    termId: p.string(),
    status: p.enum(STATUSES),
    currency: p.string(),
    total: p.bigint(),
    refunded: p.bigint(),
    paymentMethod: p.string(),
    declineCode: p.string(),
  },
});
export class Charge extends ChargeEntity.class {}
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
export class ChargeLine extends ChargeLineEntity.class {}
ChargeLineEntity.setClass(ChargeLine);

/** A charge as it is stored, without the ORM. */
export type ChargeRow = Pick<
  Charge,
  | 'registrationId'
  | 'studentId'
  | 'termId'
  | 'status'
  | 'currency'
  | 'total'
  | 'refunded'
  | 'paymentMethod'
  | 'declineCode'
>;

/** A charge and what it is made of, in the order in which it was asked for. */
export interface PricedCharge {
  charge: ChargeRow;
  lines: PricedLine[];
}

/** A registration's charge, locked until the transaction ends. */
export async function lockPricedCharge(query: Query, registrationId: string): Promise<PricedCharge | undefined> {
  const [row] = await query<ChargeText>(
    `select registration_id as "registrationId", student_id as "studentId", term_id as "termId", status, currency, total, refunded,
       payment_method as "paymentMethod", decline_code as "declineCode",
       (select coalesce(json_agg(json_build_object(
           'sectionId', section_id, 'tuition', tuition::text, 'fee', fee::text, 'materials', materials::text) order by line), '[]')
         from charge_lines l where l.registration_id = c.registration_id) as lines
     from charges c where registration_id = $1 for update of c`,
    [registrationId],
  );
  if (!row) return undefined;
  const { lines, total, refunded, ...texts } = row;
  return {
    charge: { ...texts, total: BigInt(total), refunded: BigInt(refunded) },
    lines: lines.map(({ sectionId, tuition, fee, materials }) => ({
      sectionId,
      tuition: BigInt(tuition),
      fee: BigInt(fee),
      materials: BigInt(materials),
    })),
  };
}

/** Amounts come as texts, since they may be larger than a number is exact. */
type ChargeText = Omit<ChargeRow, 'total' | 'refunded'> &
  Record<'total' | 'refunded', string> & {
    lines: (Pick<PricedLine, 'sectionId'> & Record<'tuition' | 'fee' | 'materials', string>)[];
  };

/** Writes a charge with its lines. @returns whether this call is the first to name the registration. */
export async function insertCharge(query: Query, { charge, lines }: PricedCharge): Promise<boolean> {
  const inserted = await query(
    `with charge as (
       insert into charges (registration_id, student_id, term_id, status, currency, total, payment_method)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing returning registration_id
     ), lines as (
       insert into charge_lines (registration_id, section_id, tuition, fee, materials, line)
       select charge.registration_id, l.* from charge,
         unnest($8::text[], $9::bigint[], $10::bigint[], $11::bigint[]) with ordinality as l
     )
     select registration_id from charge`,
    [
      charge.registrationId,
      charge.studentId,
      charge.termId,
      charge.status,
      charge.currency,
      charge.total,
      charge.paymentMethod,
      lines.map(({ sectionId }) => sectionId),
      lines.map(({ tuition }) => tuition),
      lines.map(({ fee }) => fee),
      lines.map(({ materials }) => materials),
    ],
  );
  return inserted.length > 0;
}

/** A registration's charge as an entity, locked until the transaction ends. */
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

export function messageOf(charge: ChargeRow, lines: readonly PricedLine[]): ChargeMessage {
  const { registrationId, studentId, termId, status, currency, total, refunded } = charge;
  const money = (amount: bigint) => ({ amount, currency });
  return create(ChargeSchema, {
    registrationId,
    studentId,
    termId,
    status: fromWord<ChargeMessage['status']>(ChargeStatusSchema, status),
    lines: lines.map(({ sectionId, tuition, fee, materials }) => ({
      sectionId,
      tuition: money(tuition),
      fee: money(fee),
      materials: money(materials),
    })),
    total: money(total),
    refunded: money(refunded),
  });
}
