import { Code } from '@connectrpc/connect';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ServiceUnderTest, startForTest } from '#lib/testing';
import { EventLogService } from '#proto/eventlog/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import { KeyService } from '#proto/keys/v1/service';
import { identity } from './identity.ts';

const PASSWORD = 'registrar-demo';

let service: ServiceUnderTest;
/** Carries a token that is worth nothing, as somebody does who logs in. */
let anybody: ReturnType<typeof service.client<typeof IdentityService>>;

beforeAll(async () => {
  service = await startForTest(identity);
  anybody = service.client(IdentityService, 'no-token-yet');
});
afterAll(() => service.stop());

async function student(id: string): Promise<{ email: string; password: string }> {
  const email = `${id}@campus.example`;
  const account = { id, email, name: `Student ${id}`, roles: ['student'] };
  await service.client(IdentityService).putAccounts({ accounts: [{ account, password: PASSWORD }] });
  return { email, password: PASSWORD };
}

async function logIn(id: string): Promise<string> {
  const { session } = await anybody.logIn(await student(id));
  return session?.refreshToken ?? '';
}

async function refresh(refreshToken: string): Promise<string> {
  const { session } = await anybody.refreshSession({ refreshToken });
  return session?.refreshToken ?? '';
}

/** What ended a student's sessions, by the log. */
async function endings(id: string): Promise<string[]> {
  const { events } = await service.client(EventLogService).readEvents({ subject: id });
  return events.filter(({ type }) => type.endsWith('SessionEnded')).map(({ json }) => JSON.parse(json).reason);
}

async function tell(sql: string, ...values: unknown[]): Promise<Record<string, unknown>[]> {
  return service.parts.database.query(sql, values);
}

const unauthenticated = { code: Code.Unauthenticated };

test('a student logs in, however the e-mail is typed, with a token that the published keys verify', async () => {
  await student('anna');

  const { session } = await anybody.logIn({ email: 'Anna@Campus.Example', password: PASSWORD });

  const { jwksJson } = await service.client(KeyService, 'no-token-yet').getKeys({});
  const { payload } = await jwtVerify(session?.accessToken ?? '', createLocalJWKSet(JSON.parse(jwksJson)));
  expect(payload).toMatchObject({ sub: 'anna', roles: ['student'] });
  expect(Number(payload.exp) - Number(payload.iat)).toBeLessThanOrEqual(15 * 60);
  expect(session).toMatchObject({
    expiresInSeconds: 900,
    account: { id: 'anna', email: 'anna@campus.example', name: 'Student anna', roles: ['student'] },
  });
});

test('a wrong password and an e-mail that nobody has are answered alike', async () => {
  const { email } = await student('ben');
  const failure = (request: { email: string; password: string }) =>
    anybody.logIn(request).catch(({ code, message }) => ({ code, message }));

  const wrongPassword = await failure({ email, password: 'registrar-demo!' });

  expect(wrongPassword).toMatchObject(unauthenticated);
  expect(await failure({ email: 'nobody@campus.example', password: PASSWORD })).toEqual(wrongPassword);
  expect(await failure({ email: 'nothing', password: '' })).toEqual(wrongPassword);
});

test('a refresh token works once and is replaced; the session does not live longer for it', async () => {
  const first = await logIn('carla');
  const expiry = () => tell("select expires_at from sessions where account_id = 'carla'");
  const before = await expiry();

  const second = await refresh(first);
  const third = await refresh(second);

  expect(new Set([first, second, third]).size).toBe(3);
  expect(await expiry()).toEqual(before);
});

test('who presents a rotated token ends the whole session', async () => {
  const stolen = await logIn('dora');
  const current = await refresh(stolen);

  await expect(refresh(stolen)).rejects.toMatchObject(unauthenticated);

  await expect(refresh(current)).rejects.toMatchObject(unauthenticated);
  await expect(refresh(stolen)).rejects.toMatchObject(unauthenticated);
  expect(await endings('dora')).toEqual(['refresh-token-reused']);
  const [row] = await tell("select end_reason from sessions where account_id = 'dora'");
  expect(row).toEqual({ end_reason: 'refresh-token-reused' });
});

test.each(['emil', 'emma', 'enzo', 'esra'])(
  'of many refreshes with one token at once exactly one succeeds, and the session is over (%s)',
  async (id) => {
    const token = await logIn(id);

    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => refresh(token)));

    const won = answers.filter((answer) => answer.status === 'fulfilled');
    expect(won).toHaveLength(1);
    for (const answer of answers)
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject(unauthenticated);
    await expect(refresh(won[0]?.value ?? '')).rejects.toMatchObject(unauthenticated);
    expect(await endings(id)).toEqual(['refresh-token-reused']);
  },
);

test('another session of the same student goes on when one ends', async () => {
  const laptop = await logIn('finn');
  const phone = await logIn('finn');

  await anybody.logOut({ refreshToken: laptop });

  await expect(refresh(laptop)).rejects.toMatchObject(unauthenticated);
  expect(await refresh(phone)).not.toBe('');
});

test('logging out twice, or with a token of nobody, changes nothing', async () => {
  const token = await logIn('gina');

  await anybody.logOut({ refreshToken: token });
  await anybody.logOut({ refreshToken: token });
  await anybody.logOut({ refreshToken: 'no-such-token' });

  expect(await endings('gina')).toEqual(['logged-out']);
});

test('a session ends after its time, and the next log-in clears it away', async () => {
  const token = await logIn('hugo');
  await tell("update sessions set expires_at = now() - interval '1 second' where account_id = 'hugo'");

  await expect(refresh(token)).rejects.toMatchObject(unauthenticated);
  await logIn('hugo');

  const [left] = await tell("select count(*)::int from sessions where account_id = 'hugo'");
  expect(left).toEqual({ count: 1 });
});

test('a refreshed session knows the roles of now', async () => {
  const token = await logIn('ines');
  await service.client(IdentityService).grantRole({ accountId: 'ines', role: 'instructor' });

  const { session } = await anybody.refreshSession({ refreshToken: token });

  expect(session?.account?.roles).toEqual(['student', 'instructor']);
});

test('a refresh token is nowhere in the database as it is', async () => {
  const token = await logIn('jana');
  const rows = await tell('select * from refresh_tokens join sessions on sessions.id = session_id');
  expect(rows.length).toBeGreaterThan(0);
  expect(JSON.stringify(rows)).not.toContain(token);
});

test('the log names who logged in', async () => {
  await logIn('karl');
  const { events } = await service.client(EventLogService).readEvents({ subject: 'karl' });
  const started = events.find(({ type }) => type === 'registrar.identity.v1.SessionStarted');
  expect(started?.actor).toBe('karl');
});
