/** Every instance of every service, as its leases tell, and this one itself. */
import { performance } from 'node:perf_hooks';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import type { Config, PeerName } from '#lib/config';
import { wordOf } from '#lib/words';
import { Server_StateSchema, type Server as ServerMessage, ServerService } from '#proto/server/v1/service';
import { knownPeers } from './dependencies.ts';
import type { EdgeParts } from './parts.ts';
import type { Servers } from './schema/system.ts';

const LIST_TIMEOUT_MS = 1_000;
/** As often as a lease is renewed. */
const MEASURE_MS = 5_000;

type ServerAnswer = Static<typeof Servers>['servers'][number];

/** An edge keeps no lease, since it has no database of its own: each one tells of itself. */
export function ownServer(app: FastifyInstance, config: Config): () => ServerAnswer {
  const since = new Date().toISOString();
  let state: ServerAnswer['state'] = 'serving';
  let utilization = performance.eventLoopUtilization();
  let load = 0;
  const timer = setInterval(() => {
    load = performance.eventLoopUtilization(utilization).utilization;
    utilization = performance.eventLoopUtilization();
  }, MEASURE_MS).unref();
  app.addHook('preClose', async () => {
    state = 'draining';
  });
  app.addHook('onClose', async () => clearInterval(timer));
  return () => ({ service: 'edge', address: addressOf(app, config), state, since, load });
}

function addressOf({ server }: FastifyInstance, { advertisedAddress, host, port }: Config): string {
  const bound = server.address();
  const listening = bound !== null && typeof bound === 'object' ? bound : { address: host, port };
  return advertisedAddress ?? `${listening.address}:${listening.port}`;
}

export async function listServers(parts: EdgeParts): Promise<ServerAnswer[]> {
  const lists = await Promise.all(knownPeers(parts).map((peer) => serversOf(parts, peer)));
  return lists.flat();
}

/** A service that does not answer is where we would call it, and unreachable. */
async function serversOf({ clients, config }: EdgeParts, peer: PeerName): Promise<ServerAnswer[]> {
  try {
    const { servers } = await clients.of(ServerService, peer).listServers({}, { timeoutMs: LIST_TIMEOUT_MS });
    return servers.map(serverOf);
  } catch {
    return config.addresses[peer].map((address) => ({ service: peer, address, state: 'unreachable' }));
  }
}

function serverOf({ service, address, state, since, load, checkpoints }: ServerMessage): ServerAnswer {
  return {
    service,
    address,
    state: wordOf(Server_StateSchema, state) as ServerAnswer['state'], // the same words
    ...(since && { since: timestampDate(since).toISOString() }),
    load,
    checkpoints: checkpoints.map(({ source, position, lagEvents }) => ({
      source,
      position: Number(position),
      lagEvents: Number(lagEvents),
    })),
  };
}
