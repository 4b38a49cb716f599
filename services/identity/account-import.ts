/** Many accounts at once, as a school's records or a demo campus bring them. */
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { invalid } from '#lib/argument';
import { requireRole } from '#lib/caller';
import { type Query, queryIn } from '#lib/database';
import { codeOf } from '#lib/database-error';
import type { Parts } from '#lib/service';
import type { Account as AccountMessage } from '#proto/identity/v1/account';
import { AccountChangedSchema, AccountRegisteredSchema } from '#proto/identity/v1/events';
import type { NewAccount, PutAccountsRequest } from '#proto/identity/v1/service';
import { accountIdOf, emailOf, nameOf, newPasswordOf, rolesOf } from './account.ts';
import type { Passwords } from './password.ts';

const ACCOUNTS_MAX = 500;
const UNIQUE_VIOLATION = '23505';

interface WantedAccount {
  id: string;
  email: string;
  name: string;
  roles: string[];
  password: string;
}

/** Columns as `json_to_recordset` needs them. */
const COLUMNS = 'id text, email text, name text, roles text[], password_hash text';

export function putAccounts({ change, database }: Parts, passwords: Passwords) {
  return async ({ accounts }: PutAccountsRequest, context: HandlerContext) => {
    requireRole(context, 'system');
    const wanted = wantedOf(accounts);
    const known = await existing(database.query, wanted);
    const hashes = await hashesOf(wanted.filter(({ id }) => !known.has(id)));
    return change(context, async ({ em, emit }) => {
      const query = queryIn(em);
      const created = await insertMissing(query, wanted, hashes).catch(rethrowTaken);
      const changed = await updateDifferent(query, wanted);
      for (const account of created) emit(AccountRegisteredSchema, account.id, { account });
      for (const account of changed) emit(AccountChangedSchema, account.id, { account });
      const unchanged = wanted.length - created.length - changed.length;
      return { created: created.length, changed: changed.length, unchanged };
    });

    /** One after the other: people who log in meanwhile get their turn. */
    async function hashesOf(missing: WantedAccount[]): Promise<Map<string, string>> {
      const hashes = new Map<string, string>();
      for (const password of new Set(missing.map((account) => newPasswordOf(account.password))))
        hashes.set(password, await passwords.hash(password, context.signal));
      return hashes;
    }
  };
}

/** In order of their ids, so that two imports at once wait for each other instead of locking crosswise. */
function wantedOf(accounts: NewAccount[]): WantedAccount[] {
  if (accounts.length > ACCOUNTS_MAX) throw invalid('accounts', `must be at most ${ACCOUNTS_MAX}`);
  const wanted = accounts.map(({ account, password }) => {
    if (!account) throw invalid('account', 'must be set');
    const { id, email, name, roles } = account;
    return { id: accountIdOf(id), email: emailOf(email), name: nameOf(name), roles: rolesOf(roles), password };
  });
  if (new Set(wanted.map(({ id }) => id)).size < wanted.length) throw invalid('id', 'must be different in one request');
  return wanted.sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function existing(query: Query, wanted: WantedAccount[]): Promise<Set<string>> {
  const rows = await query<{ id: string }>('select id from accounts where id = any($1)', [wanted.map(({ id }) => id)]);
  return new Set(rows.map(({ id }) => id));
}

function insertMissing(query: Query, wanted: WantedAccount[], hashes: Map<string, string>): Promise<AccountMessage[]> {
  const missing = wanted
    .filter(({ password }) => hashes.has(password))
    .map(({ password, ...account }) => ({ ...account, password_hash: hashes.get(password) }));
  return query(
    `insert into accounts (id, email, name, roles, password_hash)
     select id, email, name, roles, password_hash from json_to_recordset($1::json) as wanted (${COLUMNS})
     on conflict (id) do nothing
     returning id, email, name, roles`,
    [JSON.stringify(missing)],
  );
}

async function updateDifferent(query: Query, wanted: WantedAccount[]): Promise<AccountMessage[]> {
  // An update with a join locks in an order of its own.
  await query('select from accounts where id = any($1) order by id for update', [wanted.map(({ id }) => id)]);
  return query(
    `update accounts set name = wanted.name, roles = wanted.roles
     from json_to_recordset($1::json) as wanted (${COLUMNS})
     where accounts.id = wanted.id and (accounts.name, accounts.roles) is distinct from (wanted.name, wanted.roles)
     returning accounts.id, accounts.email, accounts.name, accounts.roles`,
    [JSON.stringify(wanted.map(({ id, name, roles }) => ({ id, name, roles })))],
  );
}

function rethrowTaken(error: unknown): never {
  if (codeOf(error) === UNIQUE_VIOLATION)
    throw new ConnectError('email: belongs to another account already', Code.AlreadyExists);
  throw error;
}
