/** The calls about accounts and their roles. */
import { randomUUID } from 'node:crypto';
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from '@connectrpc/connect';
import { LockMode, UniqueConstraintViolationException } from '@mikro-orm/postgresql';
import { invalid } from '#lib/argument';
import { requireRole, requireSelfOr } from '#lib/caller';
import type { Parts } from '#lib/service';
import { AccountRegisteredSchema, RoleGrantedSchema, RoleRevokedSchema } from '#proto/identity/v1/events';
import type { IdentityService, RegisterAccountRequest } from '#proto/identity/v1/service';
import { Account, emailOf, nameOf, newPasswordOf, rolesOf } from './account.ts';
import { putAccounts } from './account-import.ts';
import type { Passwords } from './password.ts';
import { actAs } from './session-calls.ts';

const IDEMPOTENCY_KEY_LENGTH_MAX = 200;

type AccountCalls = Pick<
  ServiceImpl<typeof IdentityService>,
  'getAccount' | 'registerAccount' | 'grantRole' | 'revokeRole' | 'putAccounts'
>;

export function accountCalls(parts: Parts, passwords: Passwords): AccountCalls {
  const { change, read } = parts;
  return {
    async getAccount({ accountId }, context) {
      requireSelfOr(context, accountId, 'staff', 'system');
      const account = await read(context, (em) => em.findOneOrFail(Account, accountId));
      return { account: account.toMessage() };
    },

    async registerAccount(request, context) {
      const wanted = signUpOf(request);
      const first = await signedUp(wanted, context);
      if (first) return answerRepeat(first, wanted, context.signal);
      const made = await register(wanted, context);
      if (made) return { account: made.toMessage() };
      // Somebody else took the e-mail or the key while the password was hashed.
      return answerRepeat(await signedUp(wanted, context), wanted, context.signal);
    },

    async grantRole({ accountId, role }, context) {
      requireRole(context, 'staff', 'system');
      rolesOf([role]);
      return change(context, async ({ em, emit }) => {
        const account = await em.findOneOrFail(Account, accountId, { lockMode: LockMode.PESSIMISTIC_WRITE });
        if (!account.roles.includes(role)) {
          account.roles = rolesOf([...account.roles, role]);
          emit(RoleGrantedSchema, accountId, { account: account.toMessage(), role });
        }
        return { account: account.toMessage() };
      });
    },

    async revokeRole({ accountId, role }, context) {
      requireRole(context, 'staff', 'system');
      rolesOf([role]);
      return change(context, async ({ em, emit }) => {
        const account = await em.findOneOrFail(Account, accountId, { lockMode: LockMode.PESSIMISTIC_WRITE });
        if (account.roles.includes(role)) {
          account.roles = account.roles.filter((kept) => kept !== role);
          emit(RoleRevokedSchema, accountId, { account: account.toMessage(), role });
        }
        return { account: account.toMessage() };
      });
    },

    putAccounts: putAccounts(parts, passwords),
  };

  /** The account that has the e-mail or came from the idempotency key. */
  async function signedUp({ email, signUpKey }: SignUp, context: HandlerContext): Promise<Account | undefined> {
    const either = { $or: [{ email }, ...(signUpKey ? [{ signUpKey }] : [])] };
    const [account] = await read(context, (em) => em.find(Account, either));
    return account;
  }

  /** Undefined where another sign-up was faster. */
  async function register({ password, ...wanted }: SignUp, context: HandlerContext): Promise<Account | undefined> {
    const passwordHash = await passwords.hash(password, context.signal);
    const id = randomUUID();
    actAs(context, { id });
    try {
      return await change(context, async ({ em, emit }) => {
        const account = em.create(Account, { id, ...wanted, roles: [], passwordHash });
        emit(AccountRegisteredSchema, id, { account: account.toMessage() });
        return account;
      });
    } catch (error) {
      if (error instanceof UniqueConstraintViolationException) return undefined;
      throw error;
    }
  }

  /** The first call's answer, for who says the same under the same key; the password is part of what is said. */
  async function answerRepeat(first: Account | undefined, wanted: SignUp, signal: AbortSignal) {
    const isSame =
      wanted.signUpKey !== null &&
      first?.signUpKey === wanted.signUpKey &&
      first.email === wanted.email &&
      first.name === wanted.name;
    const proven = isSame && (await passwords.prove(async () => first, wanted.password, signal));
    if (proven) return { account: proven.toMessage() };
    throw new ConnectError('an account with this e-mail or idempotency key exists', Code.AlreadyExists);
  }
}

interface SignUp {
  email: string;
  name: string;
  password: string;
  signUpKey: string | null;
}

function signUpOf({ email, name, password, idempotencyKey }: RegisterAccountRequest): SignUp {
  if (idempotencyKey.length > IDEMPOTENCY_KEY_LENGTH_MAX)
    throw invalid('idempotency_key', `must have at most ${IDEMPOTENCY_KEY_LENGTH_MAX} characters`);
  return {
    email: emailOf(email),
    name: nameOf(name),
    password: newPasswordOf(password),
    signUpKey: idempotencyKey || null,
  };
}
