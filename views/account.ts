/** Students' accounts, as billing wrote them: the balance is the sum of the entries. */
import { defineEntity, type EntityManager, p } from '@mikro-orm/postgresql';
import type { AccountEntry } from '#proto/billing/v1/billing';
import { DropRefundedSchema, TuitionChargedSchema, TuitionRefundedSchema } from '#proto/billing/v1/events';
import type { Event } from '#proto/eventlog/v1/service';
import { factOf, isoOf, type Projection, upsert } from './projection.ts';

const AccountEntryViewEntity = defineEntity({
  name: 'AccountEntryView',
  tableName: 'account_entries',
  properties: {
    id: p.string().primary(),
    studentId: p.string(),
    registrationId: p.string(),
    termId: p.string(),
    /** "tuition", "fee", "materials", "payment", "refund", "reversal". */
    kind: p.string(),
    description: p.string(),
    /** In minor units: charges are positive, payments and refunds negative. */
    amount: p.bigint('number'),
    currency: p.string(),
    at: p.datetime(),
  },
});
export class AccountEntryView extends AccountEntryViewEntity.class {}
AccountEntryViewEntity.setClass(AccountEntryView);

/** What a student owes, in minor units by currency; nothing where there is no entry. */
export function balanceOf(em: EntityManager, studentId: string): Promise<{ amount: number; currency: string }[]> {
  return em
    .getKysely<{ account_entries: { student_id: string; amount: string; currency: string } }>()
    .selectFrom('account_entries')
    .select(({ fn }) => [fn.sum<string>('amount').as('amount'), 'currency'])
    .where('student_id', '=', studentId)
    .groupBy('currency')
    .orderBy('currency')
    .execute()
    .then((rows) => rows.map(({ amount, currency }) => ({ amount: Number(amount), currency })));
}

export const accountEntries: Projection = {
  source: 'billing',
  async apply(events, query) {
    const newest = new Map(events.flatMap(entriesIn).map((entry) => [entry.id, entry]));
    const rows = [...newest.values()].map((entry) => ({
      id: entry.id,
      student_id: entry.studentId,
      registration_id: entry.registrationId,
      term_id: entry.termId,
      kind: entry.kind,
      description: entry.description,
      amount: entry.amount?.amount ?? 0n,
      currency: entry.amount?.currency ?? '',
      at: isoOf(entry.at),
    }));
    await upsert(query, { table: 'account_entries', key: ['id'] }, rows);
  },
};

function entriesIn(event: Event): AccountEntry[] {
  const fact =
    factOf(event, TuitionChargedSchema) ?? factOf(event, TuitionRefundedSchema) ?? factOf(event, DropRefundedSchema);
  return fact?.entries ?? [];
}
