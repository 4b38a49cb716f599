/** The API's own description, made of the schemas that validate. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { bodyProblems } from './schema/common.ts';

/** Register before the routes: it sees what comes after it. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
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
        { name: 'catalog', description: 'what there is to take; public' },
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
    if (!schema) return;
    // Who may is part of the description, and so is what every body may meet.
    if (config?.access !== 'public') schema.security = [{ bearer: [] }];
    if (schema.body) schema.response = { ...(schema.response as object), ...bodyProblems }; // as answers() made it
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
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: docsPolicy });
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
