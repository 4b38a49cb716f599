import type { Pool, PoolClient } from 'pg';
import { cardOf } from './cards.ts';

/** Under this key a void writes down what it gave back; nobody else may use it. */
export const VOID_REFUND_KEY = 'void';

export interface ChargeRequest {
  key: string;
  amount: number;
  currency: string;
  card: string;
  description: string;
}

/** One charge as the book has it. `charged` is 0 or the whole amount. */
export interface Charge {
  key: string;
  amount: number;
  currency: string | null;
  status: 'asked' | 'charged' | 'declined' | 'voided';
  declineCode: string | null;
  charged: number;
  refunded: number;
}

export interface Refund {
  chargeKey: string;
  key: string;
  amount: number;
}

/** What the provider answers instead of doing as asked. */
export class Denial extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

interface ChargeRow {
  key: string;
  amount: string;
  currency: string | null;
  card: string | null;
  description: string | null;
  status: Charge['status'];
  decline_code: string | null;
  charged: string;
  refunded: string;
  attempts: number;
}

/**
 * Charges at most once per key.
 * @returns the charge, and whether this very request decided it.
 * @throws Denial 402 declined, 409 other content, 410 voided, 422 unknown card, 503 not this time.
 */
export async function charge(pool: Pool, request: ChargeRequest): Promise<{ charge: Charge; first: boolean }> {
  const card = cardOf(request.card);
  if (!card) throw new Denial(422, 'unknown-card', 'The provider does not know this card.');
  const row = await transaction(pool, async (client) => {
    const asked = await ask(client, request);
    if (asked.status !== 'asked' || !isSame(asked, request)) return { ...asked, decided: false };
    if (asked.attempts <= (card.failures ?? 0)) return { ...asked, decided: false };
    return { ...(await decide(client, asked.key, card.decline)), decided: true };
  });
  if (row.status === 'voided')
    throw new Denial(410, 'charge-voided', 'This charge was voided; it cannot happen any more.');
  if (!isSame(row, request))
    throw new Denial(409, 'other-content', 'This key was used for a charge with other content.');
  if (row.status === 'asked') throw new Denial(503, 'try-again', 'The card network failed; nothing was taken.');
  if (row.decline_code) throw new Denial(402, row.decline_code, 'The card was declined; nothing was taken.');
  return { charge: chargeOf(row), first: row.decided };
}

/** Writes the request down, or counts its repetition; the row stays locked until the transaction ends. */
async function ask(client: PoolClient, request: ChargeRequest): Promise<ChargeRow> {
  const { rows } = await client.query<ChargeRow>(
    `insert into charges (key, amount, currency, card, description, status) values ($1, $2, $3, $4, $5, 'asked')
     on conflict (key) do update set attempts = charges.attempts + 1 returning *`,
    [request.key, request.amount, request.currency, request.card, request.description],
  );
  return only(rows);
}

async function decide(client: PoolClient, key: string, decline: string | undefined): Promise<ChargeRow> {
  const { rows } = await client.query<ChargeRow>(
    `update charges set status = case when $2::text is null then 'charged' else 'declined' end, decline_code = $2,
       charged = case when $2::text is null then amount else 0 end where key = $1 returning *`,
    [key, decline ?? null],
  );
  return only(rows);
}

function isSame(row: ChargeRow, request: ChargeRequest): boolean {
  return (
    Number(row.amount) === request.amount &&
    row.currency === request.currency &&
    row.card === request.card &&
    row.description === request.description
  );
}

/**
 * Gives back a part of a charge, once per refund key.
 * @throws Denial 404 unknown charge, 409 other content, 422 more than is left.
 */
export function refund(pool: Pool, { chargeKey, key, amount }: Refund): Promise<Refund> {
  return transaction(pool, async (client) => {
    const charge = await lockCharge(client, chargeKey);
    if (!charge) throw new Denial(404, 'unknown-charge', 'There is no such charge.');
    const known = await client.query<{ amount: string }>(
      'select amount from refunds where charge_key = $1 and key = $2',
      [chargeKey, key],
    );
    if (known.rows[0]) {
      if (Number(known.rows[0].amount) === amount) return { chargeKey, key, amount };
      throw new Denial(409, 'other-content', 'This key was used for a refund of another amount.');
    }
    if (charge.refunded + amount > charge.charged) {
      throw new Denial(422, 'refund-exceeds-charge', 'That is more than is left of the charge.');
    }
    await giveBack(client, { chargeKey, key, amount });
    return { chargeKey, key, amount };
  });
}

/** Undoes a charge: what is left of it goes back, and if it never arrived it is refused from now on. */
export function voidCharge(pool: Pool, key: string): Promise<Charge> {
  return transaction(pool, async (client) => {
    // The insert leaves the tombstone, or waits for whoever is charging this key right now.
    await client.query("insert into charges (key, amount, status) values ($1, 0, 'voided') on conflict do nothing", [
      key,
    ]);
    const charge = await lockCharge(client, key);
    if (!charge) throw new Error(`charge ${key} is gone though charges are never deleted`);
    if (charge.status === 'declined' || charge.status === 'voided') return charge;
    const left = charge.charged - charge.refunded;
    if (left > 0) await giveBack(client, { chargeKey: key, key: VOID_REFUND_KEY, amount: left });
    const { rows } = await client.query<ChargeRow>("update charges set status = 'voided' where key = $1 returning *", [
      key,
    ]);
    return chargeOf(only(rows));
  });
}

async function lockCharge(client: PoolClient, key: string): Promise<Charge | undefined> {
  const { rows } = await client.query<ChargeRow>('select * from charges where key = $1 for update', [key]);
  return rows[0] && chargeOf(rows[0]);
}

async function giveBack(client: PoolClient, { chargeKey, key, amount }: Refund): Promise<void> {
  await client.query('insert into refunds (charge_key, key, amount) values ($1, $2, $3)', [chargeKey, key, amount]);
  await client.query('update charges set refunded = refunded + $2 where key = $1', [chargeKey, amount]);
}

/** One charge, or undefined where the key was never heard of. */
export async function findCharge(pool: Pool, key: string): Promise<Charge | undefined> {
  const { rows } = await pool.query<ChargeRow>('select * from charges where key = $1', [key]);
  return rows[0] && chargeOf(rows[0]);
}

function chargeOf(row: ChargeRow): Charge {
  return {
    key: row.key,
    amount: Number(row.amount),
    currency: row.currency,
    status: row.status,
    declineCode: row.decline_code,
    charged: Number(row.charged),
    refunded: Number(row.refunded),
  };
}

function only<T>(rows: T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error('a statement that returns one row returned none');
  return row;
}

async function transaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    client.release();
    return result;
  } catch (failure) {
    const broken = await client.query('rollback').then(
      () => false,
      () => true,
    );
    client.release(broken);
    throw failure;
  }
}
