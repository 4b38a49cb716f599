/** The identity service, put together. */
import { gauge } from '#lib/metrics';
import type { ServiceDefinition } from '#lib/service';
import { IdentityService } from '#proto/identity/v1/service';
import { KeyService } from '#proto/keys/v1/service';
import { Account } from './account.ts';
import { accountCalls } from './account-calls.ts';
import { CalendarKey } from './calendar-key.ts';
import { calendarKeyCalls } from './calendar-key-calls.ts';
import { migrations } from './migrations/all.ts';
import { openPasswords } from './password.ts';
import { RefreshToken, Session } from './session.ts';
import { sessionCalls } from './session-calls.ts';
import { readSigningKeys } from './signing-key.ts';

const { logIn, refreshSession, logOut, registerAccount, resolveCalendarKey } = IdentityService.method;

export const identity: ServiceDefinition = {
  name: 'identity',
  entities: [Account, Session, RefreshToken, CalendarKey],
  migrations,
  publicMethods: [logIn, refreshSession, logOut, registerAccount, resolveCalendarKey],
  build: async (parts) => {
    const keys = await readSigningKeys(parts.config.signingKeyFile);
    const passwords = await openPasswords();
    gauge('registrar_password_hashes_waiting', 'Passwords that wait to be hashed', () => passwords.waiting);
    return {
      services: [IdentityService, KeyService],
      routes: (router) => {
        router.service(IdentityService, {
          ...accountCalls(parts, passwords),
          ...sessionCalls(parts, passwords, keys),
          ...calendarKeyCalls(parts),
        });
        router.service(KeyService, { getKeys: () => ({ jwksJson: keys.jwksJson }) });
      },
    };
  },
};
