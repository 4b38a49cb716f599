/** The edge, put together from its parts, so that tests can inject requests into it. */
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import { authenticate } from './auth.ts';
import { describeApi, serveDescription } from './openapi.ts';
import type { EdgeParts } from './parts.ts';
import { answerProblems } from './problems.ts';
import { readQueryValues } from './query-values.ts';
import { limitRates } from './rate-limit.ts';
import { accountRoutes } from './routes/accounts.ts';
import { calendarRoutes } from './routes/calendar.ts';
import { catalogRoutes } from './routes/catalog.ts';
import { catalogChangeRoutes } from './routes/catalog-changes.ts';
import { materialRoutes } from './routes/materials.ts';
import { meRoutes } from './routes/me.ts';
import { registrationRoutes } from './routes/registrations.ts';
import { sagaRoutes } from './routes/sagas.ts';
import { seatRoutes } from './routes/seats.ts';
import { sectionChangeRoutes } from './routes/section-changes.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { systemRoutes } from './routes/system.ts';
import { waitlistRoutes } from './routes/waitlist.ts';
import { allSchemas } from './schema/all.ts';
import { protect } from './security.ts';
import { traceRequests } from './trace.ts';
import { answerUnreadableBytes, answerUnreadableUrl } from './unreadable.ts';

const BODY_BYTES_MAX = 64 * 1024;
/** Longer than any answer may take (`Prefer: wait`), so that only a client that dawdles meets it. */
const REQUEST_TIMEOUT_MS = 40_000;
const PARAM_LENGTH_MAX = 300;

const routes = [
  sessionRoutes,
  accountRoutes,
  meRoutes,
  calendarRoutes,
  catalogRoutes,
  catalogChangeRoutes,
  sectionChangeRoutes,
  seatRoutes,
  registrationRoutes,
  waitlistRoutes,
  materialRoutes,
  sagaRoutes,
  systemRoutes,
];

export async function buildApp(parts: EdgeParts): Promise<FastifyInstance> {
  const { config, logger, verifier } = parts;
  const loggerInstance: FastifyBaseLogger = logger;
  const app: FastifyInstance = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    // A logger of its own for each request costs more than the request's line is worth: the trace id is in every line.
    childLoggerFactory: (shared) => shared,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    frameworkErrors: answerUnreadableUrl,
    clientErrorHandler: answerUnreadableBytes,
    // What comes on an open connection while the edge ends is answered, and the connection ends with it.
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    trustProxy: config.trustProxy,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, allErrors: true } },
  });
  // The order in which a request meets them.
  traceRequests(app);
  await protect(app, config.corsOrigins);
  authenticate(app, verifier);
  await limitRates(app, config);
  answerProblems(app);
  readQueryValues(app);
  await describeApi(app);
  for (const schema of allSchemas) app.addSchema(schema);
  for (const resource of routes) await app.register(resource, parts);
  await serveDescription(app);
  return app;
}
