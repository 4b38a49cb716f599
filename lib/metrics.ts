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

const poolConnections = new Gauge({
  name: 'registrar_pool_connections',
  help: 'Connections of the database pool by state; waiting counts requests',
  labelNames: ['state'] as const,
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

export function measurePool(pool: pg.Pool): void {
  gauge('registrar_pool_connections_total', 'Open connections of the database pool', () => {
    poolConnections.set({ state: 'idle' }, pool.idleCount);
    poolConnections.set({ state: 'waiting' }, pool.waitingCount);
    return pool.totalCount;
  });
}

export interface MetricsServer {
  port: number;
  close(): Promise<void>;
}

/** Serves GET /metrics on loopback only: metrics have no auth. */
export async function serveMetrics(port: number): Promise<MetricsServer> {
  if (!register.getSingleMetric('process_cpu_seconds_total')) collectDefaultMetrics();
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
