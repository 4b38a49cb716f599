/** How many sagas end a second while a backlog of them waits and nobody registers. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export interface Drained {
  perSecond: number;
  /** Registrations that were still pending when the measurement began. */
  backlog: number;
}

/** Counting is work too: it should not become what is measured. */
const COUNT_EVERY_MS = 2_000;

/** @param enrollmentUrl enrollment's own database. */
export async function drainRate(enrollmentUrl: string, windowMs: number): Promise<Drained> {
  const client = new pg.Client({ connectionString: enrollmentUrl });
  await client.connect();
  const backlog = await pending(client);
  const startedAt = performance.now();
  let left = backlog;
  while (left > 0 && performance.now() - startedAt < windowMs) {
    await sleep(COUNT_EVERY_MS);
    left = await pending(client);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  await client.end();
  return { perSecond: (backlog - left) / seconds, backlog };
}

async function pending(client: pg.Client): Promise<number> {
  const { rows } = await client.query("select count(*) from registrations where status = 'pending'");
  return Number(rows[0].count);
}
