import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '#lib/database';
import { type BillingUnderTest, newCharge, startBilling } from './testing.ts';

let billing: BillingUnderTest;
const { registrationId } = newCharge();

beforeAll(async () => {
  billing = await startBilling();
  await billing.system.chargeTuition(newCharge('tok_ok', { registrationId }));
});
afterAll(() => billing.stop());

type Amounts = [amount: number, currency: string][];

function post(cause: string, amounts: Amounts): Promise<void> {
  return inTransaction(billing.service.parts.database.pool, { timeoutMs: undefined }, async (query) => {
    const [entry] = await query<{ id: string }>(
      'insert into journal_entries (charge_id, cause) values ($1, $2) returning id',
      [registrationId, cause],
    );
    await query(
      `insert into postings (entry_id, account, kind, description, amount, currency)
       select $1, 'a', 'k', '', * from unnest($2::bigint[], $3::text[])`,
      [entry?.id, amounts.map(([amount]) => amount), amounts.map(([, currency]) => currency)],
    );
  });
}

test('the database takes an entry that sums to zero', async () => {
  await post('balanced', [
    [5, 'USD'],
    [-5, 'USD'],
    [7, 'EUR'],
    [-7, 'EUR'],
  ]);
});

test.each<[string, Amounts]>([
  [
    'does not sum to zero',
    [
      [5, 'USD'],
      [-4, 'USD'],
    ],
  ],
  [
    'sums to zero only across currencies',
    [
      [5, 'USD'],
      [-5, 'EUR'],
    ],
  ],
  ['has one side only', [[5, 'USD']]],
])('the database refuses an entry that %s', async (what, amounts) => {
  await expect(post(what, amounts)).rejects.toThrow('does not balance');
  expect(await billing.query('select from journal_entries where cause = $1', [what])).toHaveLength(0);
});

test('the database refuses another posting of an entry that balances', async () => {
  const another = billing.query(
    `insert into postings (entry_id, account, kind, description, amount, currency)
     select max(id), 'a', 'k', '', 1, 'USD' from journal_entries`,
  );

  await expect(another).rejects.toThrow('does not balance');
});

test('the database refuses a second entry of the same cause', async () => {
  await expect(
    post('charge', [
      [5, 'USD'],
      [-5, 'USD'],
    ]),
  ).rejects.toMatchObject({ code: '23505' });
});

test.each([
  'update postings set amount = -amount',
  'delete from postings',
  'truncate postings',
  "update journal_entries set cause = 'other'",
  'delete from journal_entries',
  'truncate journal_entries cascade',
])('what is in the journal stays as it is: %s', async (statement) => {
  await expect(billing.query(statement)).rejects.toThrow('only ever appended to');
});

test('the database refuses to give back more than was charged', async () => {
  const asked = billing.query('update charges set refunded = total + 1 where registration_id = $1', [registrationId]);
  await expect(asked).rejects.toMatchObject({ constraint: 'refunded_is_covered' });
});
