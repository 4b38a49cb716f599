/** The log as a service: how other processes follow this one. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceImpl } from '@connectrpc/connect';
import type { Event, EventLogService } from '#proto/eventlog/v1/service';
import { pageLength } from './argument.ts';
import { requireRole } from './caller.ts';
import type { Query } from './database.ts';
import { headPosition, type LogHead, readEvents } from './event-log.ts';

/** Whichever comes first. */
const PAGE = { limit: 500, bytesMax: 4 * 1024 * 1024 };
const PAGE_DEFAULT = 100;
const HEARTBEAT_MS = 1_000;
/** So many events that a follower does not read are a flood: it is told of the next ones a little later, together. */
const FLOOD_MIN = 16;
const FLOOD_PAUSE_MS = 250;

/** Mounted by every process that has a log. Staff and the system may read it: it tells who did what. */
export function eventLogService(query: Query, head: LogHead): ServiceImpl<typeof EventLogService> {
  return {
    async *follow(request, context) {
      requireRole(context, 'system', 'staff');
      const wanted = new Set(request.types);
      let after = request.afterPosition;
      // Whoever is far behind learns it before the first page.
      head.advance(await headPosition(query));
      yield { headPosition: head.position };
      while (!context.signal.aborted) {
        const known = head.position;
        const events = await readEvents(query, { ...PAGE, after, types: request.types });
        const last = events.at(-1)?.position;
        if (last !== undefined) head.advance(last);
        else if (known > after) head.moveBack(await headPosition(query));
        yield { events, headPosition: head.position };
        after = last ?? after;
        if (isFlood(events, wanted))
          await sleep(FLOOD_PAUSE_MS, undefined, { signal: context.signal }).catch(() => undefined);
        if (events.length < PAGE.limit) await head.waitBeyond(after, HEARTBEAT_MS, context.signal);
      }
    },

    async readEvents(request, context) {
      requireRole(context, 'system', 'staff');
      const limit = pageLength(request.limit, { max: PAGE.limit, standard: PAGE_DEFAULT });
      const events = await readEvents(query, {
        ...PAGE,
        after: request.afterPosition,
        limit,
        subject: request.subject,
      });
      return { events, headPosition: await headPosition(query) };
    },
  };
}

function isFlood(events: Event[], wanted: ReadonlySet<string>): boolean {
  return wanted.size > 0 && events.length >= FLOOD_MIN && !events.some(({ type }) => wanted.has(type));
}
