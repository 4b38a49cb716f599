import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeProtectedHeader, exportJWK, generateKeyPair, type JWK } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigError } from '#lib/config';
import { publicJwk, TokenVerifier } from '#lib/token';
import { readSigningKeys } from './signing-key.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'signing-key-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function newKey(kid?: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('EdDSA', { extractable: true });
  return { ...(await exportJWK(privateKey)), ...(kid ? { kid } : {}) };
}

async function keysOf(content: unknown) {
  const file = join(folder, 'key.jwk');
  await writeFile(file, JSON.stringify(content));
  return readSigningKeys(file);
}

test('the first key of a set signs, and all verify', async () => {
  const [fresh, old] = [await newKey('fresh'), await newKey('old')];
  const before = await (await keysOf({ keys: [old] })).sign('anna', []);
  const keys = await keysOf({ keys: [fresh, publicJwk(old)] });
  const verifier = new TokenVerifier(await newKey(), async () => JSON.parse(keys.jwksJson));

  const after = await keys.sign('anna', ['student']);

  expect(decodeProtectedHeader(after).kid).toBe('fresh');
  expect(await verifier.verify(after)).toEqual({ id: 'anna', roles: ['student'] });
  expect(await verifier.verify(before)).toEqual({ id: 'anna', roles: [] });
});

test('a single key without an id is known by its thumbprint', async () => {
  const keys = await keysOf(await newKey());
  const { kid } = decodeProtectedHeader(await keys.sign('anna', []));
  expect(kid).toMatch(/^[\w-]{43}$/);
  expect(JSON.parse(keys.jwksJson).keys[0].kid).toBe(kid);
});

test('no private half is published', async () => {
  const key = await newKey();
  expect((await keysOf({ keys: [key] })).jwksJson).not.toContain(key.d);
});

test.each([
  ['no key', { keys: [] }],
  ['a public key first', { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }] }],
  ['a key of another kind', { kty: 'oct', k: 'AAAA', d: 'AAAA' }],
])('a file with %s is named in one sentence', async (_case, content) => {
  await expect(keysOf(content)).rejects.toBeInstanceOf(ConfigError);
});
