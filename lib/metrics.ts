/** Prometheus metrics of this process, on a loopback port of their own. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type pg from 'pg';
import { collectDefaultMetrics, Gauge, Histogram, register } from 'prom-client';

export const callDuration = new Histogram({
  name: 'registrar_call_duration_seconds',
  help: 'Calls this process answered',
  labelNames: ['method', 'code'] as const,
  buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
});

const pools = new Map<string, pg.Pool>();

new Gauge({
  name: 'registrar_pool_connections',
  help: 'Connections of a database pool by state; waiting counts requests for one',
  labelNames: ['pool', 'state'] as const,
  collect() {
    for (const [pool, { totalCount, idleCount, waitingCount }] of pools) {
      this.set({ pool, state: 'busy' }, totalCount - idleCount);
      this.set({ pool, state: 'idle' }, idleCount);
      this.set({ pool, state: 'waiting' }, waitingCount);
    }
  },
});

/** A number that is read when it is asked for. */
export function gauge(name: string, help: string, read: () => number): void {
  register.removeSingleMetric(name);
  new Gauge({
    name,
    help,
    collect() {
      this.set(read());
    },
  });
}

/** @param name tells the pools of one process apart. */
export function measurePool(name: string, pool: pg.Pool): void {
  pools.set(name, pool);
}

export interface MetricsServer {
  port: number;
  close(): Promise<void>;
}

/** Each sample wakes the process, also when it has nothing to do. */
const EVENT_LOOP_SAMPLE_MS = 100;

/** Serves GET /metrics on loopback only: metrics have no auth. */
export async function serveMetrics(port: number): Promise<MetricsServer> {
  if (!register.getSingleMetric('process_cpu_seconds_total'))
    collectDefaultMetrics({ eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS });
  const server = createServer(async (request, response) => {
    if (request.url !== '/metrics') return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': register.contentType }).end(await register.metrics());
  });
  await listen(server, port);
  const { port: bound } = server.address() as AddressInfo; // it listens on TCP
  return { port: bound, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}
