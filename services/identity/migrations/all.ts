import { CreateAccounts20261121 } from './20261121-create-accounts.ts';
import { CreateCalendarKeys20261121 } from './20261121-create-calendar-keys.ts';

export const migrations = [CreateAccounts20261121, CreateCalendarKeys20261121];
