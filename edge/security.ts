/** What browsers are told to do, and not to do, with our answers. */
import { IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import helmet from 'helmet';

const PREFLIGHT_SECONDS = 600;

/** @param origins that may call from a browser; none means only our own. */
export async function protect(app: FastifyInstance, origins: string[]): Promise<void> {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(securityHeaders);
    done();
  });
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: origins,
    credentials: true,
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['consistency-token', 'etag', 'location', 'preference-applied', 'retry-after', 'traceparent'],
    maxAge: PREFLIGHT_SECONDS,
  });
}

/** The same for every answer, so helmet is asked once: for each request it would put them together anew. */
export const securityHeaders: Readonly<OutgoingHttpHeaders> = askHelmet();

function askHelmet(): OutgoingHttpHeaders {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  const tell = helmet({
    // An API answer loads nothing and is framed by nobody; /docs brings its own policy.
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    frameguard: { action: 'deny' },
    crossOriginResourcePolicy: { policy: 'same-site' },
  });
  tell(request, response, () => undefined);
  return response.getHeaders();
}
