import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';

export interface KeyFiles {
  /** Ed25519 private JWK that all processes share, to sign and verify service tokens. */
  serviceKeyFile: string;
  /** Ed25519 private JWK set; its first key signs access tokens. */
  signingKeyFile: string;
}

/** The platform's keys in its data folder, made on first use, readable for their owner only. */
export async function keyFiles(folder: string): Promise<KeyFiles> {
  const serviceKeyFile = join(folder, 'service-key.jwk');
  const signingKeyFile = join(folder, 'signing-keys.jwks');
  if (!existsSync(serviceKeyFile)) writeSecret(serviceKeyFile, await newKey());
  if (!existsSync(signingKeyFile)) writeSecret(signingKeyFile, { keys: [await newKey()] });
  return { serviceKeyFile, signingKeyFile };
}

async function newKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true });
  const key = await exportJWK(privateKey);
  return { ...key, alg: 'EdDSA', use: 'sig', kid: await calculateJwkThumbprint(key) };
}

/** Whole or not at all: half a key after a crash would stop every later start. */
function writeSecret(file: string, content: object): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
