/** Every instance of every service, as its leases tell. */
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { Static } from 'typebox';
import type { PeerName } from '#lib/config';
import { wordOf } from '#lib/words';
import { Server_StateSchema, type Server as ServerMessage, ServerService } from '#proto/server/v1/service';
import { knownPeers } from './dependencies.ts';
import type { EdgeParts } from './parts.ts';
import type { Servers } from './schema/system.ts';

const LIST_TIMEOUT_MS = 1_000;

type ServerAnswer = Static<typeof Servers>['servers'][number];

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
