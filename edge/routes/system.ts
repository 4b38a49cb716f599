/** How the platform does. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Dependency, dependencyCheck } from '../dependencies.ts';
import type { EdgeParts } from '../parts.ts';
import { answers, ref } from '../schema/elements.ts';
import { Alive, Readiness, Servers } from '../schema/system.ts';
import { listServers, ownServer } from '../servers.ts';

const tags = ['system'];
/** Who watches asks often, and must always hear the truth. */
const watched = { access: 'public', rateLimit: false } as const;

export const systemRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, parts) => {
  const checkDependencies = dependencyCheck(parts);
  const own = ownServer(app, parts.config);
  let draining = false;
  app.addHook('preClose', async () => {
    draining = true;
  });

  app.get(
    '/healthz',
    {
      config: watched,
      schema: { tags, operationId: 'isAlive', summary: 'Alive', response: { 200: ref(Alive) } },
    },
    () => ({ status: 'ok' as const }),
  );

  app.get(
    '/readyz',
    {
      config: watched,
      schema: {
        tags,
        operationId: 'isReady',
        summary: 'Ready; degraded while something is away, since only what needs it fails',
        response: { 200: ref(Readiness), 503: ref(Readiness) },
      },
    },
    async (_request, reply) => {
      const dependencies = await checkDependencies();
      const status = draining ? 'not-ready' : readinessOf(dependencies);
      return reply.code(status === 'not-ready' ? 503 : 200).send({ status, dependencies });
    },
  );

  app.get(
    '/v1/system/servers',
    {
      config: { access: ['staff'] },
      schema: {
        tags,
        operationId: 'listServers',
        summary: 'Every instance, the databases that are read, and Temporal',
        response: answers({ 200: ref(Servers) }, 401, 403),
      },
    },
    async () => {
      const [servers, dependencies] = await Promise.all([listServers(parts), checkDependencies()]);
      const isUp = dependencies.some(({ name, status }) => name === 'temporal' && status === 'up');
      return {
        servers: [...servers, own()],
        databases: parts.views.databases().map(({ lagSeconds, lagBytes, ...member }) => ({
          ...member,
          lagSeconds: lagSeconds ?? null,
          lagBytes: lagBytes ?? null,
        })),
        temporal: {
          address: parts.config.temporal.address,
          state: isUp ? ('serving' as const) : ('unreachable' as const),
        },
      };
    },
  );
};

/** One service away is no reason to send people nowhere; all of them away is. */
function readinessOf(dependencies: Dependency[]): 'ready' | 'degraded' | 'not-ready' {
  const up = dependencies.filter(({ status }) => status === 'up').length;
  if (up === dependencies.length) return 'ready';
  return up === 0 ? 'not-ready' : 'degraded';
}
