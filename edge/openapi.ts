/** The API's own description, made of the schemas that validate. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { bodyProblems, isOnlyDescribed } from './schema/elements.ts';

type Responses = Record<string, unknown>;

/**
 * Register before the routes: it sees what comes after it. Fastify compiles a serializer for every status of every route; problems are
 * many and rare, so only the description knows of them, which halves the time to start.
 */
export async function describeApi(app: FastifyInstance): Promise<void> {
  const described = new WeakMap<object, Responses>();
  await app.register(swagger, {
    transform: ({ schema, url }) => ({ schema: { ...schema, response: described.get(schema) ?? {} }, url }),
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Registrar',
        version: '1',
        description: 'Course registration. Log in at `POST /v1/sessions`, then send the access token with every call.',
      },
      tags: [
        { name: 'sessions', description: 'log in and out' },
        { name: 'accounts', description: 'people' },
        { name: 'me', description: 'what is yours' },
        { name: 'catalog', description: 'what there is to take; public to read' },
        { name: 'registrations', description: 'take and give back seats' },
        { name: 'materials', description: 'the bookstore' },
        { name: 'sagas', description: 'what needs an operator' },
        { name: 'system', description: 'how the platform does' },
      ],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
    },
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, index) =>
        typeof json.$id === 'string' ? json.$id : `def-${index}`,
    },
  });
  app.addHook('onRoute', ({ schema, config }) => {
    // A HEAD route shares the schema of its GET.
    if (!schema?.response || described.has(schema)) return;
    // Who may is part of the description, and so is what every body may meet.
    if (config?.access !== 'public') schema.security = [{ bearer: [] }];
    const stated: Responses = { ...schema.response, ...(schema.body ? bodyProblems : {}) };
    described.set(schema, stated);
    schema.response = Object.fromEntries(Object.entries(stated).filter(([, answer]) => !isOnlyDescribed(answer)));
  });
}

/** `/openapi.json`, a page to read and try it at `/docs`, and the way there from `/`. */
export async function serveDescription(app: FastifyInstance): Promise<void> {
  await app.register(publicPages);
  const hidden = { schema: { hide: true }, config: { access: 'public' } } as const;
  app.get('/openapi.json', hidden, () => app.swagger());
  app.get('/', hidden, (_request, reply) => reply.redirect('/docs'));
}

const publicPages: FastifyPluginAsync = async (app) => {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, access: 'public' };
  });
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: docsPolicy, logo, theme: { title: 'Registrar' } });
};

const logo = {
  type: 'image/svg+xml',
  content:
    '<svg xmlns="http://www.w3.org/2000/svg" width="180" height="40"><text x="0" y="28" fill="#fff" font-family="sans-serif" font-size="24">Registrar</text></svg>',
};

/** Its own scripts and styles only; it writes styles into its elements. */
const docsPolicy = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'img-src': "'self' data:",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
};
