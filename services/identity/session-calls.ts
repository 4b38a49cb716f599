/** The calls that begin, renew and end a session. */
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '#lib/caller';
import type { Parts } from '#lib/service';
import { ACCESS_TOKEN_SECONDS } from '#lib/token';
import { SessionEndedSchema, SessionStartedSchema } from '#proto/identity/v1/events';
import type { IdentityService } from '#proto/identity/v1/service';
import { Account, isEmail } from './account.ts';
import type { Passwords } from './password.ts';
import { deleteExpired, end, lockSession, rotate, type Session, startSession } from './session.ts';
import type { SigningKeys } from './signing-key.ts';

type SessionCalls = Pick<ServiceImpl<typeof IdentityService>, 'logIn' | 'refreshSession' | 'logOut'>;

export function sessionCalls({ change, read }: Parts, passwords: Passwords, keys: SigningKeys): SessionCalls {
  return {
    async logIn({ email, password }, context) {
      const account = await passwords.prove(() => accountOf(email, context), password, context.signal);
      if (!account) throw new ConnectError('the e-mail or the password is wrong', Code.Unauthenticated);
      actAs(context, account);
      const refreshToken = await change(context, async ({ em, emit }) => {
        const now = new Date();
        await deleteExpired(em, now);
        const { session, token } = startSession(em, account.id, now);
        emit(SessionStartedSchema, account.id, { accountId: account.id, sessionId: session.id });
        return token;
      });
      return { session: await sessionOf(account, refreshToken) };
    },

    async refreshSession({ refreshToken }, context) {
      const renewed = await change(context, async ({ em, emit }) => {
        const now = new Date();
        const found = await lockSession(em, refreshToken);
        if (!found?.session.isLive(now)) return undefined;
        const { session, presented } = found;
        // Two refreshes with one token at the same time count as reuse too: nothing here tells a hasty client from a thief who won the
        // race. A client must keep its refreshes in a row.
        if (presented.rotatedAt !== null) {
          end(session, 'refresh-token-reused', now);
          emit(SessionEndedSchema, session.accountId, endedEvent(session));
          return undefined;
        }
        const account = await em.findOneOrFail(Account, session.accountId);
        return { account, token: await rotate(em, presented, now) };
      });
      // Thrown only now: the end of a stolen session has to be committed.
      if (!renewed) throw new ConnectError('the session is over; log in again', Code.Unauthenticated);
      return { session: await sessionOf(renewed.account, renewed.token) };
    },

    async logOut({ refreshToken }, context) {
      return change(context, async ({ em, emit }) => {
        const now = new Date();
        const found = await lockSession(em, refreshToken);
        if (!found?.session.isLive(now)) return {};
        end(found.session, 'logged-out', now);
        emit(SessionEndedSchema, found.session.accountId, endedEvent(found.session));
        return {};
      });
    },
  };

  async function accountOf(email: string, context: HandlerContext): Promise<Account | null> {
    if (!isEmail(email)) return null;
    return read(context, (em) => em.findOne(Account, { email: email.toLowerCase() }));
  }

  async function sessionOf(account: Account, refreshToken: string) {
    const accessToken = await keys.sign(account.id, account.roles);
    return { accessToken, expiresInSeconds: ACCESS_TOKEN_SECONDS, refreshToken, account: account.toMessage() };
  }
}

/** Public calls carry no token; from here on the caller is who proved to own the account, and the log names them. */
export function actAs(context: HandlerContext, { id }: Pick<Account, 'id'>): void {
  context.values.set(callerKey, { id, roles: [] });
}

function endedEvent({ accountId, id, endReason }: Session) {
  return { accountId, sessionId: id, reason: endReason ?? '' };
}
