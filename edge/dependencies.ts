/** What the edge needs, and how it does right now. */
import type { Clients } from '#lib/clients';
import { type PeerName, peers } from '#lib/config';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../gen/grpc/health/v1/health_pb.ts';
import type { EdgeParts } from './parts.ts';

const CHECK_TIMEOUT_MS = 1_000;
/** Whoever asks how we are, and however often: dependencies are asked once in this time. */
const KNOWN_FOR_MS = 1_000;

type DependencyName = PeerName | 'views' | 'temporal';

export interface Dependency {
  name: DependencyName;
  status: 'up' | 'away';
  needed: string;
}

const neededFor: Record<DependencyName, string> = {
  identity: 'sessions, accounts',
  catalog: 'changes of the catalog',
  enrollment: 'registrations',
  billing: 'charges and refunds of registrations',
  bookstore: 'materials',
  records: 'transcripts',
  projector: 'showing changes',
  worker: 'sagas',
  starter: 'sagas',
  views: 'everything that is read',
  temporal: 'sagas',
};

/** Peers that this edge was told of. */
export function knownPeers({ config }: EdgeParts): PeerName[] {
  return peers.filter((peer) => config.addresses[peer].length > 0);
}

/** Asks all at once, and answers the same for a moment. */
export function dependencyCheck(parts: EdgeParts): () => Promise<Dependency[]> {
  let known: { untilMs: number; answer: Promise<Dependency[]> } | undefined;
  return () => {
    const nowMs = performance.now();
    if (!known || nowMs > known.untilMs) known = { untilMs: nowMs + KNOWN_FOR_MS, answer: checkAll(parts) };
    return known.answer;
  };
}

function checkAll(parts: EdgeParts): Promise<Dependency[]> {
  const { clients, views, sagas } = parts;
  return Promise.all([
    ...knownPeers(parts).map(async (peer) => dependency(peer, await isServing(clients, peer))),
    dependency(
      'views',
      views.databases().some(({ state }) => state === 'serving'),
    ),
    sagas.check().then(
      () => dependency('temporal', true),
      () => dependency('temporal', false),
    ),
  ]);
}

function dependency(name: DependencyName, isUp: boolean): Dependency {
  return { name, status: isUp ? 'up' : 'away', needed: neededFor[name] };
}

/** Any failure means that it does not serve. */
async function isServing(clients: Clients, peer: PeerName): Promise<boolean> {
  const { status } = await clients
    .of(Health, peer)
    .check({}, { timeoutMs: CHECK_TIMEOUT_MS })
    .catch(() => ({ status: Status.UNKNOWN }));
  return status === Status.SERVING;
}
