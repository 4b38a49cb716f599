import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import {
  ACCESS_TOKEN_SECONDS,
  accessTokenSigner,
  InvalidToken,
  publicJwk,
  serviceTokens,
  TokenVerifier,
} from './token.ts';

let serviceKey: JWK;
let accessKey: JWK;
let asked: number;
let verifier: TokenVerifier;

async function newKey(kid?: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('EdDSA', { extractable: true });
  return { ...(await exportJWK(privateKey)), ...(kid && { kid }) };
}

function verifierOf(...keys: JWK[]): TokenVerifier {
  asked = 0;
  return new TokenVerifier(serviceKey, async () => {
    asked++;
    return { keys: keys.map(publicJwk) };
  });
}

beforeAll(async () => {
  [serviceKey, accessKey] = await Promise.all([newKey(), newKey('first')]);
  verifier = verifierOf(accessKey);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

interface Claims {
  key?: JWK;
  kid?: string | undefined;
  issuer?: string;
  audience?: string;
  roles?: unknown;
  expiresAt?: string;
}

/** A token that is good but for what is named. */
async function forge(claims: Claims): Promise<string> {
  const {
    key = accessKey,
    issuer = 'registrar',
    audience = 'registrar',
    roles = ['student'],
    expiresAt = '5m',
  } = claims;
  const kid = 'kid' in claims ? claims.kid : key.kid;
  return new SignJWT({ roles })
    .setProtectedHeader({ alg: 'EdDSA', ...(kid && { kid }) })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject('anna')
    .setIssuedAt()
    .setExpirationTime(expiresAt)
    .sign(await importJWK(key, 'EdDSA'));
}

test('an access token names its account and roles', async () => {
  const sign = await accessTokenSigner(accessKey);
  expect(await verifier.verify(await sign('anna', ['student', 'staff']))).toEqual({
    id: 'anna',
    roles: ['student', 'staff'],
  });
});

test('a service token names its process as the system, and needs no keys of identity', async () => {
  const alone = new TokenVerifier(serviceKey, () => Promise.reject(new Error('identity is down')));
  const token = await serviceTokens(serviceKey, 'worker')();
  expect(await alone.verify(token)).toEqual({ id: 'service:worker', roles: ['system'] });
});

test.each<[string, () => Promise<string> | string]>([
  ['expired', () => forge({ expiresAt: '-1m' })],
  ['of another issuer', () => forge({ issuer: 'somebody' })],
  ['of the services’ issuer with an account’s key', () => forge({ issuer: 'registrar-services' })],
  ['for another audience', () => forge({ audience: 'somewhere' })],
  ['that makes an account the system', () => forge({ roles: ['student', 'system'] })],
  ['without roles', () => forge({ roles: null })],
  [
    'signed by an account’s key in place of the services’',
    () => forge({ kid: undefined, issuer: 'registrar-services' }),
  ],
  ['signed by the services’ key in the name of an account', () => forge({ key: serviceKey, kid: 'first' })],
  ['signed by a stranger under a known key’s name', async () => forge({ key: await newKey('first') })],
  [
    'whose payload was changed',
    async () => (await forge({})).replace(/\.(.)/, (_, first) => `.${first === 'e' ? 'f' : 'e'}`),
  ],
  ['that is no token', () => 'not-a-token'],
  ['that is empty', () => ''],
])('a token %s is refused', async (_case, token) => {
  await expect(verifier.verify(await token())).rejects.toBeInstanceOf(InvalidToken);
});

test('a token that was verified before is refused once it has expired', async () => {
  const token = await (await accessTokenSigner(accessKey))('anna', ['student']);
  await verifier.verify(token);

  vi.useFakeTimers({ now: Date.now() + (ACCESS_TOKEN_SECONDS + 10) * 1_000, toFake: ['Date'] });

  await expect(verifier.verify(token)).rejects.toBeInstanceOf(InvalidToken);
});

test('many tokens that name an unknown key ask for keys once', async () => {
  const own = verifierOf(accessKey);
  const strange = await forge({ key: await newKey('unknown') });

  const answers = await Promise.allSettled(Array.from({ length: 20 }, () => own.verify(strange)));
  await own.verify(strange).catch(() => undefined);

  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 'rejected'));
  expect(asked).toBe(1);
});

test('a new key is asked for when a token names it, also after the clock was set back', async () => {
  const keys = [accessKey];
  const next = await newKey('second');
  const own = verifierOf();
  const rotating = new TokenVerifier(serviceKey, async () => ({ keys: keys.map(publicJwk) }));
  await rotating.verify(await forge({}));
  keys.push(next);
  vi.useFakeTimers({ now: Date.now() - 60 * 60 * 1_000, toFake: ['Date'] });
  vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 6_000);

  expect(await rotating.verify(await forge({ key: next, expiresAt: '2h' }))).toMatchObject({ id: 'anna' });
  await expect(own.verify(await forge({}))).rejects.toBeInstanceOf(InvalidToken);
});

test('keys that cannot be had are an outage, not a bad token, and are asked for again', async () => {
  let isDown = true;
  const own = new TokenVerifier(serviceKey, async () => {
    if (isDown) throw new Error('identity is down');
    return { keys: [publicJwk(accessKey)] };
  });
  const token = await forge({});

  await expect(own.verify(token)).rejects.toThrow('identity is down');
  isDown = false;

  expect(await own.verify(token)).toMatchObject({ id: 'anna' });
});

test('a service token is signed again before it expires', async () => {
  const tokens = serviceTokens(serviceKey, 'worker');
  const first = await tokens();
  expect(await tokens()).toBe(first);

  vi.useFakeTimers({ now: Date.now() + 6 * 60 * 1_000, toFake: ['Date'] });

  expect(await tokens()).not.toBe(first);
});

test('keys that were learned verify tokens while identity is away', async () => {
  let isAway = false;
  const learning = new TokenVerifier(serviceKey, async () => {
    if (isAway) throw new Error('identity is away');
    return { keys: [publicJwk(accessKey)] };
  });
  await learning.learnKeys(AbortSignal.timeout(60_000));
  isAway = true;

  expect(await learning.verify(await forge({}))).toMatchObject({ roles: ['student'] });
});

test('learning keys tries again until identity answers', async () => {
  let refusals = 2;
  const learning = new TokenVerifier(serviceKey, async () => {
    if (refusals-- > 0) throw new Error('identity is starting');
    return { keys: [publicJwk(accessKey)] };
  });

  await learning.learnKeys(new AbortController().signal);

  expect(refusals).toBe(-1);
  expect(await learning.verify(await forge({}))).toMatchObject({ roles: ['student'] });
});
