/** How long after its answer a registration is seen in the views, on a replica, at a steady rate of others. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Pool } from 'undici';
import { put } from './accept.ts';
import { type Latency, latencyOf } from './latency.ts';
import type { Applicant } from './term.ts';

/** One of so many is looked for, so that looking does not become the load. */
const SAMPLE_EVERY = 10;
const LOOK_EVERY_MS = 4;
const GIVE_UP_MS = 10_000;
const CONNECTIONS = 64;

export async function viewDelay(
  { edgeUrl, replicaUrl }: { edgeUrl: string; replicaUrl: string },
  applicants: Applicant[],
  perSecond: number,
): Promise<Latency> {
  const replica = new pg.Pool({ connectionString: replicaUrl, max: 16 });
  const pool = new Pool(edgeUrl, { connections: CONNECTIONS, pipelining: 1 });
  const delays: number[] = [];
  const running: Promise<void>[] = [];
  const startedAt = performance.now();
  for (const [index, applicant] of applicants.entries()) {
    const waitMs = startedAt + (index / perSecond) * 1000 - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    running.push(
      put(pool, applicant).then(async () => {
        if (index % SAMPLE_EVERY === 0) delays.push(await untilSeen(replica, applicant.registrationId));
      }),
    );
  }
  await Promise.all(running);
  await Promise.all([replica.end(), pool.close()]);
  return latencyOf(delays);
}

async function untilSeen(replica: pg.Pool, registrationId: string): Promise<number> {
  const answeredAt = performance.now();
  for (;;) {
    const { rowCount } = await replica.query({
      name: 'seen',
      text: 'select from registration_view where id = $1',
      values: [registrationId],
    });
    const delayMs = performance.now() - answeredAt;
    if (rowCount || delayMs > GIVE_UP_MS) return delayMs;
    await sleep(LOOK_EVERY_MS);
  }
}
