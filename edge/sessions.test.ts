import { randomUUID } from 'node:crypto';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PASSWORD, type PlatformUnderTest, putAccount, startPlatform } from './platform.testing.ts';

let platform: PlatformUnderTest;

beforeAll(async () => {
  platform = await startPlatform();
  await putAccount(platform, 'registrar', 'staff');
});
afterAll(() => platform.stop());

const staff = { id: 'registrar', roles: ['staff' as const] };

function logIn(email: string, password = PASSWORD) {
  return platform.ask({ method: 'POST', url: '/v1/sessions', payload: { email, password } });
}

function refresh(cookie: string) {
  return platform.ask({ method: 'POST', url: '/v1/sessions/refresh', headers: { cookie } });
}

function cookieOf(answer: LightMyRequestResponse): string {
  const [cookie] = answer.cookies;
  return cookie ? `${cookie.name}=${cookie.value}` : '';
}

async function newStudent(): Promise<{ id: string; email: string }> {
  const id = `student-${randomUUID()}`;
  return { id, email: await putAccount(platform, id, 'student') };
}

test('a student logs in, and the access token opens what is theirs', async () => {
  const { id, email } = await newStudent();

  const answer = await logIn(email);

  expect(answer.statusCode).toBe(201);
  const { accessToken, ...rest } = answer.json();
  expect(rest).toEqual({
    expiresInSeconds: 900,
    account: { id, email, name: `Name of ${id}`, roles: ['student'] },
  });
  expect(answer.headers['cache-control']).toBe('no-store');
  const me = await platform.ask({ url: '/v1/me', headers: { authorization: `Bearer ${accessToken}` } });
  expect(me.json()).toMatchObject({ id, roles: ['student'] });
});

test('the refresh token is in a cookie that no script and no other site can use', async () => {
  const { email } = await newStudent();

  const answer = await logIn(email);

  expect(answer.headers['set-cookie']).toMatch(/; Path=\/v1\/sessions; HttpOnly; Secure; SameSite=Strict$/);
  expect(answer.body).not.toContain(answer.cookies[0]?.value ?? '?');
});

test('a refresh token works once; used again, it ends the session', async () => {
  const { email } = await newStudent();
  const first = cookieOf(await logIn(email));

  const rotated = await refresh(first);
  const reused = await refresh(first);
  const after = await refresh(cookieOf(rotated));

  expect(rotated.statusCode).toBe(200);
  expect(rotated.json().accessToken).toEqual(expect.any(String));
  expect(reused.statusCode).toBe(401);
  expect(reused.headers['set-cookie']).toContain('registrar-refresh=;');
  expect(after.statusCode).toBe(401);
});

test('logging out ends the session, and may be repeated', async () => {
  const { email } = await newStudent();
  const cookie = cookieOf(await logIn(email));
  const logOut = () => platform.ask({ method: 'DELETE', url: '/v1/sessions/current', headers: { cookie } });

  expect((await logOut()).statusCode).toBe(204);
  expect((await logOut()).statusCode).toBe(204);
  expect((await refresh(cookie)).statusCode).toBe(401);
  expect((await refresh('')).statusCode).toBe(401);
});

test('a wrong e-mail and a wrong password are answered alike', async () => {
  const { email } = await newStudent();

  const wrongPassword = await logIn(email, 'not-the-password');
  const wrongEmail = await logIn('nobody@campus.example');

  expect(wrongPassword.statusCode).toBe(401);
  const { traceId: _one, ...first } = wrongPassword.json();
  const { traceId: _other, ...second } = wrongEmail.json();
  expect(first).toEqual(second);
});

test('guessing one account’s password is stopped, and others can still log in', async () => {
  const victim = await newStudent();
  const other = await newStudent();
  const guesses = [];
  for (let guess = 0; guess < 11; guess++) guesses.push(await logIn(victim.email.toUpperCase(), `guess-${guess}`));

  expect(guesses.slice(0, 10).map((answer) => answer.statusCode)).toEqual(Array(10).fill(401));
  expect(guesses[10]?.statusCode).toBe(429);
  expect(Number(guesses[10]?.headers['retry-after'])).toBeGreaterThan(0);
  expect(guesses[10]?.json().code).toBe('too-many-requests');
  expect((await logIn(other.email)).statusCode).toBe(201);
});

test('an access token that is expired, forged or no token at all is refused', async () => {
  for (const authorization of ['Bearer nonsense', 'Basic YTpi', 'Bearer']) {
    const answer = await platform.ask({ url: '/v1/me', headers: { authorization } });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.json()).toMatchObject({ status: 401, code: 'invalid-token' });
  }
});

test('signing up makes an applicant, once for one key', async () => {
  const email = `${randomUUID()}@campus.example`;
  const payload = { email, name: 'Grace Hopper', password: 'correct horse' };
  const headers = { 'idempotency-key': randomUUID() };
  const signUp = (body: object) => platform.ask({ method: 'POST', url: '/v1/accounts', payload: body, headers });

  const made = await signUp(payload);
  const again = await signUp(payload);

  expect(made.statusCode).toBe(201);
  expect(made.json()).toMatchObject({ email, name: 'Grace Hopper', roles: [] });
  expect(again.json()).toEqual(made.json());
  expect((await signUp({ ...payload, name: 'Somebody else' })).statusCode).toBe(422);
  const withRole = await signUp({ ...payload, roles: ['staff'] });
  expect(withRole.statusCode).toBe(400);
  expect(withRole.json().fields).toEqual([{ path: 'roles', message: 'is not known here' }]);
  const short = await signUp({ email: 'not-an-email', name: '', password: 'short' });
  expect(
    short
      .json()
      .fields.map(({ path }: { path: string }) => path)
      .sort(),
  ).toEqual(['email', 'name', 'password']);
});

test('roles are given and taken by staff only', async () => {
  const { id } = await newStudent();
  const url = `/v1/accounts/${id}/roles`;
  const grant = { method: 'POST', payload: { role: 'instructor' } } as const;

  expect((await platform.ask({ ...grant, url })).statusCode).toBe(401);
  expect((await platform.ask({ ...grant, url, as: { id, roles: ['student'] } })).statusCode).toBe(403);
  expect((await platform.ask({ ...grant, url, as: staff })).json().roles).toEqual(['student', 'instructor']);
  expect((await platform.ask({ ...grant, url: '/v1/accounts/nobody/roles', as: staff })).statusCode).toBe(404);
  const system = await platform.ask({ method: 'POST', url, payload: { role: 'system' }, as: staff });
  expect(system.statusCode).toBe(400);
  const revoked = await platform.ask({ method: 'DELETE', url: `${url}/instructor`, as: staff });
  expect(revoked.json().roles).toEqual(['student']);
});

test('with identity away only sessions and accounts fail, by name, and tokens go on being good', async () => {
  const lonely = await startPlatform();
  try {
    const as = { id: 'anna', roles: ['student' as const] };
    await putAccount(lonely, 'anna', 'student');
    await lonely.services.get('identity')?.stop();

    const payload = { email: 'anna@campus.example', password: PASSWORD };
    const failed = await lonely.ask({ method: 'POST', url: '/v1/sessions', payload });

    expect(failed.statusCode).toBe(503);
    expect(failed.json()).toMatchObject({ code: 'identity-unavailable' });
    expect(failed.headers['retry-after']).toBe('1');
    expect((await lonely.ask({ url: '/v1/me', as })).json()).toMatchObject({ code: 'identity-unavailable' });
    expect((await lonely.ask({ url: '/v1/registrations', as })).statusCode).toBe(200);
    expect((await lonely.ask({ url: '/v1/terms' })).statusCode).toBe(200);
  } finally {
    lonely.services.delete('identity');
    await lonely.stop();
  }
});
