/** The calls of the saga and of whoever starts it. System only. */
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import { pageLength } from '#lib/argument';
import { requireRole } from '#lib/caller';
import type { Parts } from '#lib/service';
import type { EnrollmentService } from '#proto/enrollment/v1/service';
import type { Engine } from './engine.ts';
import { pendingRegistrations } from './registration.ts';
import { registrationChanges } from './registration-change.ts';
import { confirmSeats, finishDrops, releaseSeats, reserveSeats } from './seats.ts';

const PENDING_PAGE = { max: 500, standard: 100 };

type SagaCalls = Pick<
  ServiceImpl<typeof EnrollmentService>,
  'reserveSeats' | 'confirmSeats' | 'releaseSeats' | 'finishDrops' | 'listPendingRegistrations' | 'countUndecided'
>;

export function sagaCalls(parts: Parts, engine: Engine): SagaCalls {
  const { database, readInSql } = parts;
  const onRegistration = registrationChanges(parts);
  return {
    async reserveSeats({ registrationId }, context) {
      requireRole(context, 'system');
      return { confirmed: await reserveSeats(database.query, registrationId) };
    },

    async confirmSeats({ registrationId }, context) {
      requireRole(context, 'system');
      await onRegistration(context, registrationId, confirmSeats);
      return {};
    },

    async releaseSeats({ registrationId, reason }, context) {
      requireRole(context, 'system');
      await onRegistration(context, registrationId, (query, locked, cause) =>
        releaseSeats(query, locked, reason, cause),
      );
      return {};
    },

    async finishDrops({ registrationId }, context) {
      requireRole(context, 'system');
      await onRegistration(context, registrationId, finishDrops);
      return {};
    },

    async listPendingRegistrations({ requestedBefore, limit, afterId }, context) {
      requireRole(context, 'system');
      const before = requestedBefore ? timestampDate(requestedBefore) : new Date();
      const most = pageLength(limit, PENDING_PAGE);
      return readInSql(context, async (query) => ({
        registrations: await pendingRegistrations(query, { before, limit: most, afterId }),
      }));
    },

    async countUndecided(_request, context) {
      requireRole(context, 'system');
      return { count: engine.undecidedAtWorst };
    },
  };
}
