/** What browsers are told to do, and not to do, with our answers. */
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';

const PREFLIGHT_SECONDS = 600;

/** @param origins that may call from a browser; none means only our own. */
export async function protect(app: FastifyInstance, origins: string[]): Promise<void> {
  await app.register(helmet, {
    // An API answer loads nothing and is framed by nobody; /docs brings its own policy.
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    frameguard: { action: 'deny' },
    crossOriginResourcePolicy: { policy: 'same-site' },
  });
  await app.register(cors, {
    origin: origins.length > 0 ? origins : false,
    credentials: true,
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['consistency-token', 'etag', 'location', 'preference-applied', 'retry-after', 'traceparent'],
    maxAge: PREFLIGHT_SECONDS,
  });
}
