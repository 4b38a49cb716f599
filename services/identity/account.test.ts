import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, type ServiceUnderTest, startForTest, tokenOf } from '#lib/testing';
import { EventLogService } from '#proto/eventlog/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import { identity } from './identity.ts';

let service: ServiceUnderTest;
let system: ReturnType<typeof service.client<typeof IdentityService>>;
let anybody: typeof system;

beforeAll(async () => {
  service = await startForTest(identity);
  system = service.client(IdentityService);
  anybody = service.client(IdentityService, 'no-token-yet');
});
afterAll(() => service.stop());

function signUp(name: string) {
  return { email: `${name}@campus.example`, name, password: `password of ${name}`, idempotencyKey: randomUUID() };
}

function newAccount(id: string, ...roles: string[]) {
  return { account: { id, email: `${id}@campus.example`, name: id, roles }, password: 'registrar-demo' };
}

async function eventsOf(subject: string): Promise<string[]> {
  const { events } = await service.client(EventLogService).readEvents({ subject });
  return events.map(({ type }) => type.replace('registrar.identity.v1.', ''));
}

test('signing up makes an applicant, who can log in', async () => {
  const request = signUp('anna');

  const { account } = await anybody.registerAccount(request);

  expect(account).toMatchObject({ email: 'anna@campus.example', name: 'anna', roles: [] });
  expect((await anybody.logIn(request)).session?.account).toEqual(account);
});

test('signing up again with the same key and content answers the same account', async () => {
  const request = signUp('ben');

  const answers = [await anybody.registerAccount(request), await anybody.registerAccount(request)];

  expect(answers[1]).toEqual(answers[0]);
  expect(await eventsOf(answers[0]?.account?.id ?? '')).toEqual(['AccountRegistered']);
});

test.each([
  ['another key', { idempotencyKey: 'another' }],
  ['no key', { idempotencyKey: '' }],
  ['the same key and another name', { name: 'somebody' }],
  ['the same key and another password', { password: 'something else' }],
  ['the same key and another e-mail', { email: 'new@campus.example' }],
  ['another key and the e-mail in capitals', { email: 'CARLA@CAMPUS.EXAMPLE', idempotencyKey: 'third' }],
])('an e-mail or key that is taken is refused with %s', async (_case, difference) => {
  const request = { ...signUp('carla'), idempotencyKey: 'key of carla' };
  await anybody.registerAccount(request);

  const again = anybody.registerAccount({ ...request, ...difference });

  await expect(again).rejects.toMatchObject({ code: Code.AlreadyExists });
});

test('of ten who sign up with one e-mail at once exactly one gets it', async () => {
  const requests = Array.from({ length: 10 }, () => signUp('dora'));

  const answers = await Promise.allSettled(requests.map((request) => anybody.registerAccount(request)));

  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const answer of answers)
    if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: Code.AlreadyExists });
});

test('one sign-up sent ten times at once is one account', async () => {
  const request = signUp('emil');

  const answers = await Promise.all(Array.from({ length: 10 }, () => anybody.registerAccount(request)));

  expect(new Set(answers.map(({ account }) => account?.id)).size).toBe(1);
});

test.each([
  ['email', { email: 'anna' }],
  ['email', { email: `${'a'.repeat(250)}@campus.example` }],
  ['name', { name: '  ' }],
  ['password', { password: '1234567' }],
  ['password', { password: 'x'.repeat(129) }],
  ['idempotency_key', { idempotencyKey: 'x'.repeat(201) }],
])('a sign-up with a bad %s is refused by that name', async (field, fault) => {
  const bad = anybody.registerAccount({ ...signUp('finn'), ...fault });
  await expect(bad).rejects.toMatchObject({ code: Code.InvalidArgument, rawMessage: expect.stringContaining(field) });
});

test('staff give and take roles, once each; a student cannot', async () => {
  await system.putAccounts({ accounts: [newAccount('gina')] });
  const staff = service.client(IdentityService, await tokenOf('boss', 'staff'));
  const gina = service.client(IdentityService, await tokenOf('gina', 'student'));
  const instructor = { accountId: 'gina', role: 'instructor' };
  const student = { accountId: 'gina', role: 'student' };

  await staff.grantRole(instructor);
  await staff.grantRole(student);
  expect((await staff.grantRole(student)).account?.roles).toEqual(['student', 'instructor']);
  await staff.revokeRole(instructor);
  expect((await staff.revokeRole(instructor)).account?.roles).toEqual(['student']);

  expect(await eventsOf('gina')).toEqual(['AccountRegistered', 'RoleGranted', 'RoleGranted', 'RoleRevoked']);
  const denied = { code: Code.PermissionDenied };
  await expect(gina.grantRole({ accountId: 'gina', role: 'staff' })).rejects.toMatchObject(denied);
  await expect(gina.revokeRole(student)).rejects.toMatchObject(denied);
});

test('nobody can be made the system, or something unknown', async () => {
  await system.putAccounts({ accounts: [newAccount('hugo')] });
  const refused = { code: Code.InvalidArgument };
  for (const role of ['system', 'dean', '']) {
    await expect(system.grantRole({ accountId: 'hugo', role })).rejects.toMatchObject(refused);
    await expect(system.putAccounts({ accounts: [newAccount('hugo', role)] })).rejects.toMatchObject(refused);
  }
  const nobody = system.grantRole({ accountId: 'nobody', role: 'student' });
  await expect(nobody).rejects.toMatchObject({ code: Code.NotFound });
});

test('an account is read by its owner and by staff, and by nobody else', async () => {
  await system.putAccounts({ accounts: [newAccount('ines', 'student')] });
  const as = async (id: string, role: 'student' | 'staff') => service.client(IdentityService, await tokenOf(id, role));
  const read = { accountId: 'ines' };

  expect((await (await as('ines', 'student')).getAccount(read)).account?.email).toBe('ines@campus.example');
  expect((await (await as('boss', 'staff')).getAccount(read)).account?.id).toBe('ines');
  await expect((await as('jana', 'student')).getAccount(read)).rejects.toMatchObject({ code: Code.PermissionDenied });
  await expect(anybody.getAccount(read)).rejects.toMatchObject({ code: Code.Unauthenticated });
});

test('a read whose caller waits no longer ends in the database, too', async () => {
  await system.putAccounts({ accounts: [newAccount('zoe', 'student')] });
  const { query, pool } = service.parts.database;
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  const other = await pool.connect();
  try {
    await other.query('begin; lock table accounts in access exclusive mode');

    const reading = system.getAccount({ accountId: 'zoe' }, { timeoutMs: 300 });

    await expect(reading).rejects.toMatchObject({ code: Code.DeadlineExceeded });
    // Long before the limit of statements that nobody has limited, which is 15 s.
    await eventually(async () => (await query(waiting)).length === 0, { timeoutMs: 8_000, what: 'no statement left' });
  } finally {
    await other.query('rollback');
    other.release();
  }
});
