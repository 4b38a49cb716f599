/** The log as a service: how other processes follow this one. */
import type { ServiceImpl } from '@connectrpc/connect';
import type { EventLogService } from '#proto/eventlog/v1/service';
import { requireRole } from './caller.ts';
import type { Query } from './database.ts';
import { headPosition, type LogHead, readEvents } from './event-log.ts';

const PAGE_MAX = 500;
const PAGE_DEFAULT = 100;
const HEARTBEAT_MS = 1_000;

/** Mounted by every process that has a log. Staff and the system may read it: it tells who did what. */
export function eventLogService(query: Query, head: LogHead): ServiceImpl<typeof EventLogService> {
  return {
    async *follow(request, context) {
      requireRole(context, 'system', 'staff');
      let after = request.afterPosition;
      while (!context.signal.aborted) {
        const events = await readEvents(query, { after, limit: PAGE_MAX, types: request.types });
        const last = events.at(-1)?.position;
        if (last !== undefined) head.advance(last);
        yield { events, headPosition: head.position };
        after = last ?? after;
        if (events.length < PAGE_MAX) await head.waitBeyond(after, HEARTBEAT_MS, context.signal);
      }
    },

    async readEvents(request, context) {
      requireRole(context, 'system', 'staff');
      const limit = Math.min(request.limit || PAGE_DEFAULT, PAGE_MAX);
      const events = await readEvents(query, { after: request.afterPosition, limit, subject: request.subject });
      return { events, headPosition: await headPosition(query) };
    },
  };
}
