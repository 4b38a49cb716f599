import type { Pool } from 'pg';
import type { Charge } from './book.ts';

/** A charge with everything that was given back of it. */
export interface BookEntry extends Charge {
  at: string;
  refunds: { key: string; amount: number; at: string }[];
}

/** Sums over the whole book, one a currency. */
export interface BookTotal {
  currency: string;
  charges: number;
  charged: number;
  refunds: number;
  refunded: number;
}

export interface BookPage {
  items: BookEntry[];
  /** Where the next page begins; absent on the last one. */
  nextCursor?: string;
}

/** A page of the book in the order of the keys: each charge with its refunds as of one instant. */
export async function readBook(pool: Pool, after: string, limit: number): Promise<BookPage> {
  const { rows } = await pool.query<{ entry: BookEntry }>(
    `select jsonb_build_object(
       'key', key, 'amount', amount, 'currency', currency, 'status', status, 'declineCode', decline_code,
       'charged', charged, 'refunded', refunded, 'at', at,
       'refunds', (select coalesce(jsonb_agg(jsonb_build_object('key', r.key, 'amount', r.amount, 'at', r.at)
                   order by r.at, r.key), '[]') from refunds r where r.charge_key = c.key)) as entry
     from charges c where key > $1 order by key limit $2`,
    [after, limit + 1],
  );
  const items = rows.slice(0, limit).map((row) => row.entry);
  const last = items.at(-1);
  return rows.length > limit && last ? { items, nextCursor: last.key } : { items };
}

/** The totals are counted from the refunds themselves, so that they can disagree with the charges if the book is wrong. */
export async function totalBook(pool: Pool): Promise<BookTotal[]> {
  const { rows } = await pool.query<{ total: BookTotal }>(
    `select jsonb_build_object('currency', currency, 'charges', count(*), 'charged', sum(charged),
       'refunds', coalesce(sum(r.count), 0), 'refunded', coalesce(sum(r.amount), 0)) as total
     from charges c
     left join (select charge_key, count(*), sum(amount) as amount from refunds group by charge_key) r on r.charge_key = c.key
     where charged > 0 group by currency order by currency`,
  );
  return rows.map((row) => row.total);
}
