import { CreateAccounts20261121 } from './20261121-create-accounts.ts';

export const migrations = [CreateAccounts20261121];
