/** An account's one key to its calendar feed, which calendar programs fetch without logging in. */
import { defineEntity, p } from '@mikro-orm/postgresql';

const CalendarKeyEntity = defineEntity({
  name: 'CalendarKey',
  tableName: 'calendar_keys',
  properties: {
    accountId: p.string().primary(),
    digest: p.string(),
  },
});
export class CalendarKey extends CalendarKeyEntity.class {}
CalendarKeyEntity.setClass(CalendarKey);
