/** Accounts as clients see them. */
import type { Static } from 'typebox';
import type { Account as AccountMessage } from '#proto/identity/v1/account';
import { type Account, roleWords } from './schema/session.ts';

export function accountOf({ id, email, name, roles }: AccountMessage): Static<typeof Account> {
  return { id, email, name, roles: roleWords.filter((role) => roles.includes(role)) };
}
