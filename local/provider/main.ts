import pg from 'pg';
import { readConfig } from '#lib/config';
import { createLogger } from '#lib/log';
import { measurePool, serveMetrics } from '#lib/metrics';
import { buildProvider } from './app.ts';
import { createBook } from './schema.ts';

const connectionsMax = 8;
const databaseTimeoutMs = 5_000;

const config = readConfig('provider');
const logger = createLogger(config.name, config.logLevel);
const pool = new pg.Pool({
  connectionString: config.databaseUrl,
  max: connectionsMax,
  connectionTimeoutMillis: databaseTimeoutMs,
  statement_timeout: databaseTimeoutMs,
});
// A connection that breaks while idle is replaced by the pool; unheard, the event would end the process.
pool.on('error', (failure) => logger.warn({ err: failure }, 'idle database connection broke'));

await createBook(pool);
const app = buildProvider({ pool, logger });
await app.listen({ host: config.host, port: config.port });
const metrics = await serveMetrics(config.metricsPort);
measurePool('book', pool);

let stopping: Promise<void> | undefined;
function stop(): Promise<void> {
  stopping ??= app
    .close()
    .then(() => Promise.all([metrics.close(), pool.end()]))
    .then(() => process.exit(0));
  return stopping;
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
// The supervisor that started this process is gone.
process.once('disconnect', stop);
