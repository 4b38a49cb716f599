import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ServiceUnderTest, startForTest, tokenOf } from '#lib/testing';
import { EventLogService } from '#proto/eventlog/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import { identity } from './identity.ts';

let service: ServiceUnderTest;
/** Carries a token that is worth nothing, as a calendar program does. */
let anybody: ReturnType<typeof service.client<typeof IdentityService>>;

beforeAll(async () => {
  service = await startForTest(identity);
  anybody = service.client(IdentityService, 'no-token-yet');
});
afterAll(() => service.stop());

const unknown = { code: Code.NotFound };

async function student(id: string) {
  const account = { id, email: `${id}@campus.example`, name: id, roles: ['student'] };
  await service.client(IdentityService).putAccounts({ accounts: [{ account, password: 'registrar-demo' }] });
  return service.client(IdentityService, await tokenOf(id, 'student'));
}

async function ownerOf(key: string): Promise<string | undefined> {
  return (await anybody.resolveCalendarKey({ key })).account?.id;
}

test('whoever knows a key learns whose calendar it opens', async () => {
  const anna = await student('anna');
  const { key } = await anna.createCalendarKey({});
  expect(await ownerOf(key)).toBe('anna');
});

test('a key that is revoked opens nothing, and revoking it again changes nothing', async () => {
  const ben = await student('ben');
  const { key } = await ben.createCalendarKey({});

  await ben.revokeCalendarKey({});
  await ben.revokeCalendarKey({});

  await expect(anybody.resolveCalendarKey({ key })).rejects.toMatchObject(unknown);
  const { events } = await service.client(EventLogService).readEvents({ subject: 'ben' });
  const keys = events.filter(({ type }) => type.includes('CalendarKey')).map(({ type, actor }) => [type, actor]);
  expect(keys).toEqual([
    ['registrar.identity.v1.CalendarKeyCreated', 'ben'],
    ['registrar.identity.v1.CalendarKeyRevoked', 'ben'],
  ]);
});

test('a new key ends the one before it', async () => {
  const carla = await student('carla');
  const first = await carla.createCalendarKey({});
  const second = await carla.createCalendarKey({});

  await expect(anybody.resolveCalendarKey({ key: first.key })).rejects.toMatchObject(unknown);
  expect(await ownerOf(second.key)).toBe('carla');
});

test('of many keys that are made at once exactly one works', async () => {
  const dora = await student('dora');

  const made = await Promise.all(Array.from({ length: 8 }, () => dora.createCalendarKey({})));

  const found = await Promise.allSettled(made.map(({ key }) => ownerOf(key)));
  expect(found.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test.each(['', 'a key of nobody', 'x'.repeat(10_000)])('a key of nobody opens nothing (%#)', async (key) => {
  await expect(anybody.resolveCalendarKey({ key })).rejects.toMatchObject(unknown);
});

test('without a token nobody makes or revokes a key', async () => {
  await expect(anybody.createCalendarKey({})).rejects.toMatchObject({ code: Code.Unauthenticated });
  await expect(anybody.revokeCalendarKey({})).rejects.toMatchObject({ code: Code.Unauthenticated });
});

test('a key is nowhere in the database or the log as it is', async () => {
  const emil = await student('emil');
  const { key } = await emil.createCalendarKey({});
  const rows = await service.parts.database.query('select * from calendar_keys');
  const { events } = await service.client(EventLogService).readEvents({ subject: 'emil' });
  expect(rows.length).toBeGreaterThan(0);
  expect(JSON.stringify([rows, events.map(({ json }) => json)])).not.toContain(key);
});
