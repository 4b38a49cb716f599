import { Clients } from '#lib/clients';
import { type PeerName, peers } from '#lib/config';
import { readJwk, serviceTokens } from '#lib/token';
import type { PlatformRecord } from '../local/platform-record.ts';

/** Who types a command would rather wait than type it again. */
const TIMEOUT_MS = 60_000;

/** Clients of a running platform's services, with the operator's right to everything. Close them when done. */
export async function connect(platform: Pick<PlatformRecord, 'parts' | 'serviceKeyFile'>): Promise<Clients> {
  const addresses = Object.fromEntries(peers.map((peer) => [peer, addressesIn(platform, peer)]));
  return new Clients(
    addresses as Record<PeerName, string[]>, // one entry a peer, by construction
    serviceTokens(await readJwk(platform.serviceKeyFile), 'operator'),
    TIMEOUT_MS,
  );
}

function addressesIn({ parts }: Pick<PlatformRecord, 'parts'>, peer: PeerName): string[] {
  return parts.filter((part) => part.name === peer).map((part) => part.address);
}
