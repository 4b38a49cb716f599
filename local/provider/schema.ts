import type { Pool } from 'pg';

// Any constant will do, as long as every instance that starts takes the same one.
const SCHEMA_LOCK = 7_236_001;

const TABLES = `
create table if not exists charges (
  key          text primary key,
  amount       bigint not null,
  currency     text,
  card         text,
  description  text,
  status       text not null,
  decline_code text,
  charged      bigint not null default 0,
  refunded     bigint not null default 0,
  attempts     integer not null default 1,
  at           timestamptz not null default now(),
  constraint status_is_known check (status in ('asked', 'charged', 'declined', 'voided')),
  constraint content_is_known check (status = 'voided' or (currency ~ '^[A-Z]{3}$' and card is not null)),
  constraint amount_is_positive check (amount > 0 or (amount = 0 and currency is null)),
  constraint charged_is_all_or_nothing check (charged in (0, amount)),
  constraint charged_when_charged check (status <> 'charged' or charged = amount),
  constraint nothing_taken_without_a_charge check (status not in ('asked', 'declined') or charged = 0),
  constraint refunded_is_covered check (refunded between 0 and charged),
  constraint voided_leaves_nothing check (status <> 'voided' or refunded = charged),
  constraint declined_has_a_code check ((status = 'declined') = (decline_code is not null))
);
create table if not exists refunds (
  charge_key text not null references charges (key),
  key        text not null,
  amount     bigint not null check (amount > 0),
  at         timestamptz not null default now(),
  primary key (charge_key, key)
);
`;

/** Creates the tables of the book where they are missing; several instances may start at once. */
export async function createBook(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
    await client.query(TABLES);
    await client.query('commit');
    client.release();
  } catch (failure) {
    client.release(true); // Closing the connection rolls back.
    throw failure;
  }
}
