/** Instances of a service, as they tell of themselves: a row that is renewed while they live, and removed when they leave. */
import { performance } from 'node:perf_hooks';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { type ServerService, Server_State as State } from '#proto/server/v1/service';
import type { Query } from './database.ts';
import type { FollowerLag } from './follower.ts';

const HEARTBEAT_MS = 5_000;
/** Three heartbeats missed. */
const LEASE_SECONDS = 15;
/** How long a lost instance stays on the list. */
const FORGET_SECONDS = 3_600;

export interface Lease {
  drain(): Promise<void>;
  end(): Promise<void>;
}

/** Registers this instance under its address and keeps the lease until {@link Lease.end}. */
export async function takeLease(query: Query, service: string, address: string): Promise<Lease> {
  let utilization = performance.eventLoopUtilization();
  let state = 'serving';
  async function beat(): Promise<void> {
    const now = performance.eventLoopUtilization();
    const load = performance.eventLoopUtilization(now, utilization).utilization;
    utilization = now;
    await query(
      `insert into instances (address, service, state, since, heartbeat_at, load) values ($1, $2, $3, now(), now(), $4)
       on conflict (address) do update set state = $3, heartbeat_at = now(), load = $4`,
      [address, service, state, load],
    );
  }
  await query(
    `delete from instances where address = $1 or heartbeat_at < now() - interval '${FORGET_SECONDS} seconds'`,
    [address],
  );
  await beat();
  // A heartbeat that fails is a heartbeat missed: others see the lease run out.
  const timer = setInterval(() => void beat().catch(() => undefined), HEARTBEAT_MS);
  timer.unref();
  return {
    drain: async () => {
      state = 'draining';
      await beat().catch(() => undefined);
    },
    end: async () => {
      clearInterval(timer);
      await query('delete from instances where address = $1', [address]).catch(() => undefined);
    },
  };
}

/** Lists the instances that share this database. Whoever may call may see them. */
export function serverService(
  name: string,
  query: Query,
  lags: () => FollowerLag[],
): ServiceImpl<typeof ServerService> {
  return {
    async listServers() {
      const rows = await query<{ address: string; state: string; since: Date; load: number; alive: boolean }>(
        `select address, state, since, load, heartbeat_at > now() - interval '${LEASE_SECONDS} seconds' as alive
         from instances where service = $1 order by address`,
        [name],
      );
      const stored = await query<{ source: string; position: string }>(
        'select source, position from checkpoints order by source',
      );
      const heads = new Map(lags().map((lag) => [lag.source, lag.head]));
      const checkpoints = stored.map(({ source, position }) => {
        const head = heads.get(source) ?? BigInt(position);
        return {
          source,
          position: BigInt(position),
          lagEvents: head > BigInt(position) ? head - BigInt(position) : 0n,
        };
      });
      return {
        servers: rows.map((row) => ({
          service: name,
          address: row.address,
          state: stateOf(row),
          since: timestampFromDate(row.since),
          load: row.load,
          checkpoints,
        })),
      };
    },
  };
}

function stateOf(row: { state: string; alive: boolean }): State {
  if (!row.alive) return State.LOST;
  return row.state === 'draining' ? State.DRAINING : State.SERVING;
}
