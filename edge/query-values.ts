/**
 * Query strings are text. Where a route's schema wants a number or a truth value, text that is one becomes one, and the schema judges
 * the rest. Bodies are never converted: `"5"` is not a number there.
 */
import type { FastifyInstance } from 'fastify';

const INTEGER = /^-?\d{1,15}$/;

interface QuerySchema {
  properties?: Record<string, { type?: string }>;
}

export function readQueryValues(app: FastifyInstance): void {
  app.addHook('preValidation', (request, _reply, done) => {
    const { properties = {} } = (request.routeOptions.schema?.querystring ?? {}) as QuerySchema; // ours, TypeBox
    const query = request.query as Record<string, unknown>; // Fastify's parser answers an object
    for (const name of Object.keys(query)) query[name] = readAs(query[name], properties[name]?.type);
    done();
  });
}

function readAs(text: unknown, type: string | undefined): unknown {
  if (type === 'integer' && typeof text === 'string' && INTEGER.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}
