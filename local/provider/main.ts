import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { closeAnswering } from '#lib/close';
import { readConfig } from '#lib/config';
import { createLogger } from '#lib/log';
import { measurePool, serveMetrics } from '#lib/metrics';
import { type Running, runProcess } from '#lib/process';
import { buildProvider } from './app.ts';
import { createBook } from './schema.ts';

const CONNECTIONS_MAX = 8;
const DATABASE_TIMEOUT_MS = 5_000;

await runProcess(startProvider);

async function startProvider(): Promise<Running> {
  const config = readConfig('provider');
  const logger = createLogger(config.name, config.logLevel);
  const pool = new pg.Pool({
    connectionString: config.databaseUrl,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: DATABASE_TIMEOUT_MS,
    statement_timeout: DATABASE_TIMEOUT_MS,
  });
  // A connection that breaks while idle is replaced by the pool; unheard, the event would end the process.
  pool.on('error', (failure) => logger.warn({ err: failure }, 'idle database connection broke'));
  await createBook(pool);
  const app = buildProvider({ pool, logger });
  await app.listen({ host: config.host, port: config.port });
  const metrics = await serveMetrics(config.metricsPort);
  measurePool('book', pool);
  const { address, port } = app.server.address() as AddressInfo; // it listens on TCP
  return {
    address: `${address}:${port}`,
    stop: async () => {
      await closeAnswering(app.server, () => app.close());
      await Promise.all([metrics.close(), pool.end()]);
    },
  };
}
