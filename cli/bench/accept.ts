/** Registrations over HTTP at a steady rate, whether or not answers come back in time: latency counts from when each was due. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { type Latency, latencyOf } from './latency.ts';
import type { Applicant } from './term.ts';

const CONNECTIONS = 256;
const TICK_MS = 5;

export interface Accepted {
  perSecond: number;
  latency: Latency;
  /** How many of each status; anything but 200 and 202 is an error. */
  statuses: Record<string, number>;
  errors: number;
}

/** Sends every applicant's registration at `perSecond`, and waits for all answers. */
export async function acceptAtRate(edgeUrl: string, applicants: Applicant[], perSecond: number): Promise<Accepted> {
  const pool = new Pool(edgeUrl, { connections: CONNECTIONS, pipelining: 1 });
  const statuses: Record<string, number> = {};
  const times: number[] = [];
  const running: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let sent = 0; sent < applicants.length; ) {
    const due = Math.min(applicants.length, Math.floor(((performance.now() - startedAt) / 1000) * perSecond) + 1);
    for (; sent < due; sent++) {
      const dueAt = startedAt + (sent / perSecond) * 1000;
      const applicant = applicants[sent] as Applicant; // below the length
      running.push(
        put(pool, applicant).then((status) => {
          statuses[status] = (statuses[status] ?? 0) + 1;
          times.push(performance.now() - dueAt);
        }),
      );
    }
    await sleep(TICK_MS);
  }
  await Promise.all(running);
  const seconds = (performance.now() - startedAt) / 1000;
  await pool.close();
  const good = (statuses['202'] ?? 0) + (statuses['200'] ?? 0);
  return { perSecond: good / seconds, latency: latencyOf(times), statuses, errors: applicants.length - good };
}

/** The status of one registration, or the error's name. */
export async function put(pool: Pool, { token, registrationId, body }: Applicant): Promise<string> {
  try {
    const response = await pool.request({
      method: 'PUT',
      path: `/v1/registrations/${registrationId}`,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body,
    });
    await response.body.dump();
    return String(response.statusCode);
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}
