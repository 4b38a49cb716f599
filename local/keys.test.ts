import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, importJWK, jwtVerify, SignJWT } from 'jose';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyFiles } from './keys.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'registrar-keys-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

test('keys are made once, differ, and only their owner may read them', async () => {
  const files = await keyFiles(folder);
  const first = Object.values(files).map((file) => readFileSync(file, 'utf8'));

  const again = await keyFiles(folder);

  expect(Object.values(again).map((file) => readFileSync(file, 'utf8'))).toEqual(first);
  expect(Object.values(files).map((file) => statSync(file).mode & 0o777)).toEqual([0o600, 0o600]);
  const [service, signing] = first.map((text) => JSON.parse(text));
  expect(service.d).not.toBe(signing.keys[0].d);
});

test('the signing key signs a token that the key set verifies by its key id', async () => {
  const { signingKeyFile } = await keyFiles(folder);
  const set = JSON.parse(readFileSync(signingKeyFile, 'utf8'));
  const header = { alg: 'EdDSA', kid: set.keys[0].kid };

  const token = await new SignJWT({ sub: 'student-001' }).setProtectedHeader(header).sign(await importJWK(set.keys[0]));

  const { d: _private, ...publicKey } = set.keys[0];
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: [publicKey] }));
  expect(payload.sub).toBe('student-001');
});
