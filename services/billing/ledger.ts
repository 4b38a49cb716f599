/**
 * The double-entry ledger. An amount is a debit where positive and a credit where negative, and the database refuses an entry that does
 * not sum to zero. A student's account is what they owe: a charge debits it, a payment credits it.
 */
import { create } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { Query } from '#lib/database';
import { type AccountEntry, AccountEntrySchema } from '#proto/billing/v1/billing';
import type { ChargeRow } from './charge.ts';
import { type Amounts, totalOf } from './price.ts';

const ENTRIES_MAX = 100;

const revenueAccounts = {
  tuition: 'tuition-revenue',
  fee: 'fee-revenue',
  materials: 'materials-revenue',
} as const satisfies Record<keyof Amounts, string>;
/** What the payment provider holds for us: charged less given back. */
const clearingAccount = 'provider-clearing';

const nouns = { tuition: 'Tuition', fee: 'Fees', materials: 'Materials' } as const;
const parts = ['tuition', 'fee', 'materials'] as const;

interface Posting {
  account: string;
  kind: string;
  description: string;
  amount: bigint;
}

/** Posts what a registration costs and its payment. @returns what is new on the student's account. */
export function postCharge(
  query: Query,
  charge: ChargeRow,
  { amounts, sectionIds }: { amounts: Amounts; sectionIds: string[] },
): Promise<AccountEntry[]> {
  const owed = parts.flatMap((part) => {
    const posting = { kind: part, description: `${nouns[part]} for ${sectionIds.join(', ')}`, amount: amounts[part] };
    return move(posting, accountOf(charge.studentId), revenueAccounts[part]);
  });
  const paid = { kind: 'payment', description: 'Payment by card', amount: totalOf(amounts) };
  return post(query, charge, 'charge', [...owed, ...move(paid, clearingAccount, accountOf(charge.studentId))]);
}

/**
 * Posts that a part of a charge is given back: a `refund` of what was owed, and a `reversal` of the payment that had covered it.
 * @param cause makes it happen once per charge.
 */
export function postRefund(
  query: Query,
  charge: ChargeRow,
  { amounts, cause, description }: { amounts: Amounts; cause: string; description: string },
): Promise<AccountEntry[]> {
  const student = accountOf(charge.studentId);
  const amount = totalOf(amounts);
  return post(query, charge, cause, [
    { account: student, kind: 'refund', description, amount: -amount },
    ...parts.map((part) => ({ account: revenueAccounts[part], kind: 'refund', description, amount: amounts[part] })),
    ...move({ kind: 'reversal', description: 'Payment returned to the card', amount }, student, clearingAccount),
  ]);
}

/** What of a charge has not been given back, by what the ledger itself says. */
export async function leftOf(query: Query, chargeId: string): Promise<Amounts> {
  const rows = await query<{ account: string; amount: string }>(
    `select account, -sum(amount) as amount from postings join journal_entries e on e.id = entry_id
     where e.charge_id = $1 and account = any($2) group by account`,
    [chargeId, Object.values(revenueAccounts)],
  );
  const left = new Map(rows.map(({ account, amount }) => [account, BigInt(amount)]));
  const of = (part: keyof Amounts) => left.get(revenueAccounts[part]) ?? 0n;
  return { tuition: of('tuition'), fee: of('fee'), materials: of('materials') };
}

/** A student's newest entries, and the balance of all of them in the currency of the newest. */
export async function readAccount(query: Query, studentId: string) {
  const rows = await query<EntryRow & { balance: string }>(
    `select p.id, p.kind, p.description, p.amount, p.currency, e.at, c.registration_id, c.student_id, c.term_id,
       sum(p.amount) over (partition by p.currency) as balance
     from postings p join journal_entries e on e.id = p.entry_id join charges c on c.registration_id = e.charge_id
     where p.account = $1 order by p.id desc limit ${ENTRIES_MAX}`,
    [accountOf(studentId)],
  );
  const { balance = '0', currency = '' } = rows[0] ?? {};
  return { entries: rows.map(entryOf), balance: { amount: BigInt(balance), currency } };
}

/** The account of what a student owes. */
export function accountOf(studentId: string): string {
  return `student:${studentId}`;
}

function move(posting: Omit<Posting, 'account'>, debit: string, credit: string): Posting[] {
  return [
    { ...posting, account: debit },
    { ...posting, account: credit, amount: -posting.amount },
  ];
}

/** Writes one entry in one statement; what would post nothing is left out. */
async function post(query: Query, charge: ChargeRow, cause: string, all: Posting[]): Promise<AccountEntry[]> {
  const postings = all.filter(({ amount }) => amount !== 0n);
  if (postings.length === 0) return [];
  const rows = await query<EntryRow>(
    `with entry as (insert into journal_entries (charge_id, cause) values ($1, $2) returning id, at),
     posted as (
       insert into postings (entry_id, account, kind, description, amount, currency)
       select entry.id, p.account, p.kind, p.description, p.amount, $3
       from entry, unnest($4::text[], $5::text[], $6::text[], $7::bigint[])
         with ordinality as p (account, kind, description, amount, n) order by p.n
       returning id, account, kind, description, amount, currency
     )
     select posted.*, entry.at, $1::uuid as registration_id, $8::text as student_id, $9::text as term_id
     from posted, entry where account = $10 order by posted.id`,
    [
      charge.registrationId,
      cause,
      charge.currency,
      postings.map(({ account }) => account),
      postings.map(({ kind }) => kind),
      postings.map(({ description }) => description),
      postings.map(({ amount }) => amount),
      charge.studentId,
      charge.termId,
      accountOf(charge.studentId),
    ],
  );
  return rows.map(entryOf);
}

interface EntryRow {
  id: string;
  kind: string;
  description: string;
  amount: string;
  currency: string;
  at: Date;
  registration_id: string;
  student_id: string;
  term_id: string;
}

function entryOf(row: EntryRow): AccountEntry {
  const { kind, description, currency } = row;
  return create(AccountEntrySchema, {
    id: String(row.id),
    studentId: row.student_id,
    registrationId: row.registration_id,
    termId: row.term_id,
    kind,
    description,
    amount: { amount: BigInt(row.amount), currency },
    at: timestampFromDate(new Date(row.at)),
  });
}
