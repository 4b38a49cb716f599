import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply } from 'fastify';
import type { Pool } from 'pg';
import { charge, Denial, findCharge, refund, voidCharge } from './book.ts';
import { cardOf } from './cards.ts';
import { readBook, totalBook } from './pages.ts';
import * as shapes from './shapes.ts';
import { type Mode, Weather } from './weather.ts';

const BODY_BYTES_MAX = 16_384;
const KEY_CHARACTERS_MAX = 200;
const RETRY_AFTER_SECONDS = 1;

export interface ProviderOptions {
  pool: Pool;
  logger?: FastifyBaseLogger;
  /** How long a slow answer takes. */
  slowMs?: number;
  /** How long a request whose answer never comes is held before its connection is cut; longer than any client waits. */
  silentMs?: number;
}

/** The simulated payment provider as an HTTP server that is not listening yet. */
export function buildProvider(options: ProviderOptions): FastifyInstance {
  const { pool, logger, slowMs = 5_000, silentMs = 120_000 } = options;
  const app = Fastify({
    ...(logger ? { loggerInstance: logger } : {}),
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: KEY_CHARACTERS_MAX * 3 },
  });
  const weather = new Weather(slowMs, silentMs);
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  // Without this, closing would wait for the answers that are held back on purpose.
  app.addHook('preClose', async () => weather.end());
  app.setErrorHandler((failure: Error & { statusCode?: number }, request, reply) => {
    if (failure instanceof Denial) return deny(reply, failure);
    if (failure.statusCode && failure.statusCode < 500) {
      return deny(reply, new Denial(failure.statusCode, 'malformed', failure.message));
    }
    request.log.error({ err: failure }, 'request failed');
    return deny(reply, new Denial(500, 'internal', 'The provider failed.'));
  });
  app.setNotFoundHandler((_request, reply) => deny(reply, new Denial(404, 'unknown-route', 'There is no such route.')));
  app.register((money, _options, done) => {
    addMoneyRoutes(money, pool, weather);
    done();
  });
  app.register((control, _options, done) => {
    addControlRoutes(control, pool, weather);
    done();
  });
  return app;
}

function deny(reply: FastifyReply, denial: Denial): FastifyReply {
  if (denial.status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
  return reply.code(denial.status).send({ code: denial.code, message: denial.message });
}

function addMoneyRoutes(plain: FastifyInstance, pool: Pool, weather: Weather): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  app.addHook('onRequest', () => weather.pass());

  app.post('/charges', { schema: shapes.postCharge }, async (request, reply) => {
    const { charge: made, first } = await charge(pool, request.body);
    const card = cardOf(request.body.card);
    if (first && card?.slow) await weather.slowly();
    if (first && card?.silent) {
      reply.hijack();
      await weather.silently();
      request.raw.socket.destroy();
      return reply;
    }
    return made;
  });

  app.post('/charges/:key/refunds', { schema: shapes.postRefund }, (request) =>
    refund(pool, { chargeKey: request.params.key, ...request.body }),
  );

  app.post('/charges/:key/void', { schema: shapes.byKey }, (request) => voidCharge(pool, request.params.key));

  app.get('/charges/:key', { schema: shapes.byKey }, async (request) => {
    const known = await findCharge(pool, request.params.key);
    if (!known) throw new Denial(404, 'unknown-charge', 'There is no such charge.');
    return known;
  });
}

/** What works in any weather: the book for the auditor, health, and the switch itself. */
function addControlRoutes(plain: FastifyInstance, pool: Pool, weather: Weather): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.get('/book', { schema: shapes.getBook }, async (request) => {
    const { cursor = '', limit = 500 } = request.query;
    const page = await readBook(pool, cursor, limit);
    return cursor === '' ? { ...page, totals: await totalBook(pool) } : page;
  });

  app.get('/healthz', async () => {
    await pool.query('select 1');
    return { status: 'ok', mode: weather.mode };
  });

  app.put('/mode', { schema: shapes.putMode }, (request): { mode: Mode } => {
    weather.mode = request.body.mode;
    return { mode: weather.mode };
  });
}
