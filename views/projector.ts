/** The projector, put together: it follows every service's log and is the only one to write the views. */
import type { ServiceImpl } from '@connectrpc/connect';
import { requireRole } from '#lib/caller';
import { type ServiceName, services } from '#lib/config';
import { inTransaction, type Query } from '#lib/database';
import { Follower } from '#lib/follower';
import type { Parts, ServiceDefinition } from '#lib/service';
import { EventLogService } from '#proto/eventlog/v1/service';
import { ProjectorService } from '#proto/projector/v1/service';
import { projections, tables } from './all.ts';
import { migrations } from './migrations/all.ts';
import { recordApplied, recordHeard } from './source.ts';

/** As often as logs send heartbeats. */
const RECORD_HEARD_MS = 1_000;
/** Waits for the batches in flight, then empties. */
const REBUILD_TIMEOUT_MS = 30_000;

export const projector: ServiceDefinition = {
  name: 'projector',
  migrations,
  build: (parts) => {
    const followers = services.map((source) => followerOf(source, parts));
    const heard = recordHeardEvery(RECORD_HEARD_MS, followers, parts);
    return {
      services: [ProjectorService],
      routes: (router) => router.service(ProjectorService, projectorService(parts)),
      followers,
      stop: heard.stop,
    };
  },
};

function followerOf(source: ServiceName, { clients, database, logger }: Parts): Follower {
  const own = projections.filter((projection) => projection.source === source);
  return new Follower({
    source,
    log: clients.of(EventLogService, source),
    pool: database.pool,
    logger,
    apply: async (events, query) => {
      for (const projection of own) await projection.apply(events, query);
      await recordApplied(source, events, query);
    },
  });
}

/** Says, while a log is quiet, that the views show all of it. */
function recordHeardEvery(pauseMs: number, followers: Follower[], { database, logger }: Parts) {
  let recording = Promise.resolve();
  const timer = setInterval(() => {
    recording = recordHeard(followers, database.query).catch((error: unknown) =>
      logger.warn({ reason: String(error) }, 'heartbeats not recorded'),
    );
  }, pauseMs);
  return {
    stop: async () => {
      clearInterval(timer);
      await recording;
    },
  };
}

function projectorService({ database, logger }: Parts): ServiceImpl<typeof ProjectorService> {
  return {
    async rebuildViews(_request, context) {
      const { id } = requireRole(context, 'system', 'staff');
      await inTransaction(database.pool, { timeoutMs: REBUILD_TIMEOUT_MS }, emptyViews);
      logger.info({ actor: id }, 'rebuilding the views');
      return {};
    },
  };
}

/** Followers notice that their checkpoint moved, and begin again. */
async function emptyViews(query: Query): Promise<void> {
  // The checkpoints first, as followers do: batches in flight are waited for, and nobody begins another one.
  await query('select from checkpoints order by source for update');
  await query(`truncate ${tables}`);
  await query('update checkpoints set position = 0, at = now()');
}
