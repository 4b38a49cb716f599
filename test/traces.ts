/** What a registration has left behind in every service, and in the provider's own book. */
import type { Campus } from './campus.ts';

export interface Traces {
  /** Live enrollments. */
  seats: number;
  /** Net charge in billing's ledger, minor units. */
  charged: number;
  /** Net charge in the provider's book, minor units. */
  provider: number;
  /** Materials set aside. */
  copies: number;
  /** Entries of the transcript that count. */
  transcript: number;
}

export async function traces(campus: Campus, registrationId: string): Promise<Traces> {
  const count = async (service: 'enrollment' | 'bookstore' | 'records', sql: string) => {
    const [row] = await campus.rows<{ count: string }>(service, sql, [registrationId]);
    return Number(row?.count);
  };
  const [charge] = await campus.rows<{ net: string }>(
    'billing',
    "select total - refunded as net from charges where registration_id = $1 and status = 'charged'",
    [registrationId],
  );
  return {
    seats: await count(
      'enrollment',
      "select count(*) from enrollments where registration_id = $1 and status in ('reserved', 'enrolled', 'waitlisted')",
    ),
    charged: Number(charge?.net ?? 0),
    provider: await netAtProvider(campus.providerUrl, registrationId),
    copies: await count(
      'bookstore',
      "select coalesce(sum(quantity), 0) as count from reservation_lines where registration_id = $1 and state = 'reserved'",
    ),
    transcript: await count(
      'records',
      "select count(*) from transcript_entries where registration_id = $1 and status = 'enrolled'",
    ),
  };
}

async function netAtProvider(providerUrl: string, key: string): Promise<number> {
  const response = await fetch(`${providerUrl}/charges/${key}`);
  if (response.status === 404) return 0;
  const charge = (await response.json()) as { charged: number; refunded: number }; // the provider's own shape
  return charge.charged - charge.refunded;
}

/** What is left of a registration that was undone. */
export const NOTHING: Traces = { seats: 0, charged: 0, provider: 0, copies: 0, transcript: 0 };

/** One section of 4 credits × 100.00, with a fee of 25.00 and a book of 40.00. */
export const EVERYTHING: Traces = { seats: 1, charged: 46_500, provider: 46_500, copies: 1, transcript: 1 };

/** What is left of that when it was dropped: half of 425.00 stays charged, the book is paid back in full. */
export const DROPPED: Traces = { seats: 0, charged: 21_250, provider: 21_250, copies: 0, transcript: 0 };
