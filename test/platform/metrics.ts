import { expect, test } from 'vitest';
import { type ProcessName, services } from '#lib/config';
import type { Campus } from './campus.ts';

const LINE = /^[a-z0-9_]+(\{[^}]*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$/;

const followed = (...names: string[]) => names.map((name) => `registrar_follower_lag_events_${name}`);

/** Beside what every process tells. */
const expected: Partial<Record<ProcessName, string[]>> = {
  identity: ['registrar_password_hashes_waiting'],
  enrollment: [
    'registrar_decision_queue_length',
    'registrar_decision_batch_size_bucket',
    'registrar_decision_seconds_bucket',
    ...followed('catalog', 'identity'),
  ],
  projector: followed(...services),
  starter: [
    'registrar_saga_backlog_events',
    'registrar_saga_backlog_age_seconds',
    'registrar_sagas_open',
    ...followed('enrollment'),
  ],
  edge: [
    'registrar_edge_registrations_waiting',
    'registrar_edge_batch_size_bucket',
    'registrar_replica_lag_seconds',
    'registrar_replica_lag_bytes',
  ],
};

export function metrics(running: () => Campus): void {
  test('every process tells Prometheus how it does', async () => {
    const campus = running();
    for (const { name, number, metricsUrl } of campus.platform.record.parts) {
      const response = await campus.until(`${name} tells`, () => fetch(metricsUrl));
      const lines = (await response.text()).split('\n').filter(Boolean);

      expect(response.headers.get('content-type'), name).toMatch(/^text\/plain/);
      for (const line of lines) if (!line.startsWith('#')) expect(line, `${name} ${number}`).toMatch(LINE);
      const told = new Set(lines.map((line) => line.replace(/[{ ].*/, '')));
      const pools = name === 'auditor' ? [] : ['registrar_pool_connections'];
      for (const metric of ['process_cpu_seconds_total', ...pools, ...(expected[name] ?? [])]) {
        expect(told, `${name} ${number}`).toContain(metric);
      }
    }
  });

  test('the measures count what happens', async () => {
    const campus = running();
    const before = await decisionsOf(campus);
    const answer = await campus.http.insist(await campus.student(), { adds: [await campus.section()] });
    expect(answer.answer.status).toBe(202);
    expect(await decisionsOf(campus)).toBeGreaterThan(before);
  });
}

/** Of all instances of enrollment. */
async function decisionsOf({ platform }: Campus): Promise<number> {
  const counts = platform.record.parts
    .filter(({ name }) => name === 'enrollment')
    .map(async ({ metricsUrl }) => {
      const text = await (await fetch(metricsUrl)).text();
      return Number(/^registrar_decision_seconds_count (\d+)$/m.exec(text)?.[1]);
    });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}
