/** The calls about keys of calendar feeds. */
import type { ServiceImpl } from '@connectrpc/connect';
import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { callerOf } from '#lib/caller';
import type { Parts } from '#lib/service';
import { CalendarKeyCreatedSchema, CalendarKeyRevokedSchema } from '#proto/identity/v1/events';
import type { IdentityService } from '#proto/identity/v1/service';
import { Account } from './account.ts';
import { CalendarKey } from './calendar-key.ts';
import { digestOf, newSecret } from './secret.ts';

type CalendarKeyCalls = Pick<
  ServiceImpl<typeof IdentityService>,
  'createCalendarKey' | 'revokeCalendarKey' | 'resolveCalendarKey'
>;

export function calendarKeyCalls({ change, read }: Parts): CalendarKeyCalls {
  return {
    async createCalendarKey(_request, context) {
      const accountId = callerOf(context).id;
      const key = newSecret();
      return change(context, async ({ em, emit }) => {
        const known = await lockKeyOf(em, accountId);
        if (known) known.digest = digestOf(key);
        else em.create(CalendarKey, { accountId, digest: digestOf(key) });
        emit(CalendarKeyCreatedSchema, accountId, { accountId });
        return { key };
      });
    },

    async revokeCalendarKey(_request, context) {
      const accountId = callerOf(context).id;
      return change(context, async ({ em, emit }) => {
        const known = await lockKeyOf(em, accountId);
        if (!known) return {};
        em.remove(known);
        emit(CalendarKeyRevokedSchema, accountId, { accountId });
        return {};
      });
    },

    async resolveCalendarKey({ key }, context) {
      return read(context, async (em) => {
        const { accountId } = await em.findOneOrFail(CalendarKey, { digest: digestOf(key) });
        return { account: (await em.findOneOrFail(Account, accountId)).toMessage() };
      });
    },
  };
}

/** An account's key, which nobody else changes meanwhile; null where it has none. */
async function lockKeyOf(em: EntityManager, accountId: string): Promise<CalendarKey | null> {
  // A key that is not there yet cannot be locked.
  await em.findOneOrFail(Account, accountId, { lockMode: LockMode.PESSIMISTIC_WRITE });
  return em.findOne(CalendarKey, accountId);
}
