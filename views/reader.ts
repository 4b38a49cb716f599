/** How views are read: through MikroORM, from whichever replica is healthy and has reached what the reader must see. */
import { type EntityManager, MikroORM } from '@mikro-orm/postgresql';
import type pg from 'pg';
import type { ServiceName } from '#lib/config';
import type { Logger } from '#lib/log';
import { measurePool } from '#lib/metrics';
import { entities } from './all.ts';
import type { Member } from './member.ts';
import { ReplicaDriver, readingOn } from './replica-driver.ts';
import { isBroken, isTooSlow, ViewsAway } from './replica-error.ts';
import { type MemberState, Rotation } from './rotation.ts';
import { type ConsistencyToken, isReached } from './token.ts';

/** Of each database, and each edge process. */
export const POOL_MAX = 10;
const CONNECT_TIMEOUT_MS = 1_000;
/** The database ends what takes longer; the client gives up a little later, in case the database cannot. */
const STATEMENT_TIMEOUT_MS = 1_000;
const QUERY_TIMEOUT_MS = 1_250;

/** Two replicas may break at once, and then there is the primary. */
const ATTEMPTS_MAX = 3;

/** Up to when all that a service did is shown; undefined where that is not known. */
export type AsOf = (service: ServiceName) => Date | undefined;

export interface Views {
  /**
   * Runs a read that shows at least what `token` names. The body may run more than once: where its database breaks, it
   * begins again on another one.
   * @throws ViewBehind, ViewsAway
   */
  read<T>(token: ConsistencyToken, body: (em: EntityManager, asOf: AsOf) => Promise<T>): Promise<T>;
  /** The databases of the views as they were last heard, the primary first. */
  databases(): MemberState[];
  close(): Promise<void>;
}

export interface ViewsOptions {
  primaryUrl: string;
  replicaUrls: readonly string[];
  logger: Logger;
}

/** Opens the views for reading. Databases that are away do not keep it from starting: they are read when they come. */
export async function openViews({ primaryUrl, replicaUrls, logger }: ViewsOptions): Promise<Views> {
  const rotation = new Rotation(primaryUrl, replicaUrls, logger);
  const orm = openOrm(rotation);
  await rotation.start();

  return {
    read: async (token, body) => {
      const reading = { token, startedAtMs: performance.now(), failed: new Set<Member>() };
      for (let attempt = 1; ; attempt++) {
        const member = await rotation.choose(reading);
        const number = rotation.members.indexOf(member);
        try {
          const seen = await readingOn(number, () => body(orm.em.fork(), (service) => member.asOf(service)));
          if (token.size === 0 || (await readingOn(number, () => shows(orm.em.fork(), token)))) return seen;
          await member.poll();
        } catch (error) {
          if (isTooSlow(error)) throw new ViewsAway(error);
          if (!isBroken(error)) throw error;
          rotation.broke(member, error);
          reading.failed.add(member);
          if (attempt >= ATTEMPTS_MAX) throw new ViewsAway(error);
        }
      }
    },
    databases: () => rotation.states(),
    close: async () => {
      await rotation.stop();
      await orm.close(true);
    },
  };
}

/** Whether a database still shows this: what was heard of it is older than what was read, and a rebuild sets it back to nothing. */
async function shows(em: EntityManager, token: ConsistencyToken): Promise<boolean> {
  const rows = await em.execute<{ source: string; position: string }[]>('select source, position from checkpoints');
  const positions = new Map(rows.map(({ source, position }) => [source, BigInt(position)]));
  return isReached(token, positions);
}

function openOrm({ members }: Rotation): MikroORM {
  const [primary, ...replicas] = members.map((member, number) => ({
    clientUrl: member.url,
    driverOptions: {
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      stream: () => member.openSocket(),
      onPoolCreated: (pool: pg.Pool) => measurePool(number === 0 ? member.role : `${member.role}-${number}`, pool),
    },
  }));
  return new MikroORM({
    ...primary,
    driver: ReplicaDriver,
    replicas,
    entities,
    ensureDatabase: false,
    pool: { min: 0, max: POOL_MAX },
  });
}
