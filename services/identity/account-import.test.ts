import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, type ServiceUnderTest, startForTest, tokenOf } from '#lib/testing';
import { EventLogService } from '#proto/eventlog/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import { identity } from './identity.ts';

let service: ServiceUnderTest;
let system: ReturnType<typeof service.client<typeof IdentityService>>;

beforeAll(async () => {
  service = await startForTest(identity);
  system = service.client(IdentityService);
});
afterAll(() => service.stop());

function newAccount(id: string, ...roles: string[]) {
  return { account: { id, email: `${id}@campus.example`, name: id, roles }, password: 'registrar-demo' };
}

function students(prefix: string, count: number) {
  return Array.from({ length: count }, (_, index) => newAccount(`${prefix}-${index}`, 'student'));
}

async function eventsOf(subject: string): Promise<string[]> {
  const { events } = await service.client(EventLogService).readEvents({ subject });
  return events.map(({ type }) => type.replace('registrar.identity.v1.', ''));
}

function hashOf(id: string): Promise<Record<string, unknown>[]> {
  return service.parts.database.query('select password_hash from accounts where id = $1', [id]);
}

test('500 accounts with one password cost one hash, and a second time nothing', async () => {
  const accounts = students('campus', 500);

  expect(await system.putAccounts({ accounts })).toMatchObject({ created: 500, changed: 0, unchanged: 0 });
  expect(await system.putAccounts({ accounts })).toMatchObject({ created: 0, changed: 0, unchanged: 500 });

  const [hashes] = await service.parts.database.query(
    "select count(distinct password_hash)::int from accounts where id like 'campus-%'",
  );
  expect(hashes).toEqual({ count: 1 });
  expect(await eventsOf('campus-7')).toEqual(['AccountRegistered']);
});

test('only what differs is changed and told of; the e-mail and the password stay', async () => {
  await system.putAccounts({ accounts: [newAccount('anna', 'student'), newAccount('ben', 'student')] });
  const before = await hashOf('anna');
  const renamed = { id: 'anna', email: 'else@campus.example', name: 'Anna A.', roles: ['staff', 'student', 'staff'] };

  const counts = await system.putAccounts({
    accounts: [{ account: renamed, password: 'another password' }, newAccount('ben', 'student'), newAccount('carla')],
  });

  expect(counts).toMatchObject({ created: 1, changed: 1, unchanged: 1 });
  expect((await system.getAccount({ accountId: 'anna' })).account).toMatchObject({
    email: 'anna@campus.example',
    name: 'Anna A.',
    roles: ['student', 'staff'],
  });
  expect(await hashOf('anna')).toEqual(before);
  expect(await eventsOf('anna')).toEqual(['AccountRegistered', 'AccountChanged']);
  expect(await eventsOf('ben')).toEqual(['AccountRegistered']);
});

test('imports of the same accounts in other orders at once all succeed and make each once', async () => {
  const accounts = students('race', 40);
  const orders = [accounts, [...accounts].reverse(), accounts.slice(20).concat(accounts.slice(0, 20))];

  const counts = await Promise.all(orders.map((order) => system.putAccounts({ accounts: order })));

  expect(counts.reduce((sum, { created }) => sum + created, 0)).toBe(40);
  expect(counts.reduce((sum, { unchanged }) => sum + unchanged, 0)).toBe(80);
});

test('an import takes its accounts in the order of their ids, so that it cannot lock crosswise with another', async () => {
  const { pool, query } = service.parts.database;
  const insert = `insert into accounts (id, email, name, roles, password_hash) values ($1, $1 || '@x.example', $1, '{}', '$argon2id$')`;
  const other = await pool.connect();
  await other.query('begin');
  await other.query(insert, ['order-2']);

  const importing = system.putAccounts({ accounts: ['order-3', 'order-2', 'order-1'].map((id) => newAccount(id)) });
  await eventually(async () => {
    const waiting = await query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return waiting.length > 0;
  });
  // Had the import taken this one already, each would wait for the other, and the database would end one of them.
  await other.query(insert, ['order-3']);
  await other.query('commit');
  other.release();

  expect(await importing).toMatchObject({ created: 1, unchanged: 2 });
});

test('an e-mail of somebody else’s account refuses the whole request', async () => {
  await system.putAccounts({ accounts: [newAccount('dora')] });
  const thief = { ...newAccount('thief'), account: { ...newAccount('thief').account, email: 'Dora@campus.example' } };

  const refused = system.putAccounts({ accounts: [newAccount('emil'), thief] });

  await expect(refused).rejects.toMatchObject({ code: Code.AlreadyExists });
  await expect(system.getAccount({ accountId: 'emil' })).rejects.toMatchObject({ code: Code.NotFound });
});

test.each([
  ['too many accounts', students('many', 501)],
  ['an id twice', [newAccount('twice'), newAccount('twice')]],
  ['an e-mail that is none', [{ ...newAccount('x'), account: { ...newAccount('x').account, email: 'x' } }]],
  ['a short password', [{ ...newAccount('x'), password: 'short' }]],
  ['no account at all', [{ password: 'registrar-demo' }]],
])('%s: refused as invalid', async (_case, accounts) => {
  await expect(system.putAccounts({ accounts })).rejects.toMatchObject({ code: Code.InvalidArgument });
});

test('staff cannot import accounts', async () => {
  const staff = service.client(IdentityService, await tokenOf('boss', 'staff'));
  const refused = staff.putAccounts({ accounts: [newAccount('friend', 'staff')] });
  await expect(refused).rejects.toMatchObject({ code: Code.PermissionDenied });
});

test('the log holds no password, hash or token', async () => {
  const { account, password } = newAccount('finn', 'student');
  await system.putAccounts({ accounts: [{ account, password }] });
  const { session } = await system.logIn({ email: account.email, password });

  const rows = await service.parts.database.query<{ all: string }>(
    "select string_agg(events::text, ',') as all from events",
  );

  const log = rows[0]?.all ?? '';
  expect(log).toContain('finn@campus.example');
  for (const secret of [password, '$argon2', session?.refreshToken, session?.accessToken])
    expect(log).not.toContain(secret);
});
