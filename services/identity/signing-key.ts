/** The keys of access tokens: the first signs, all of them verify, so that a new key can take over while tokens of the old one live. */
import { readFile } from 'node:fs/promises';
import { calculateJwkThumbprint, type JWK } from 'jose';
import { ConfigError } from '#lib/config';
import { accessTokenSigner, publicJwk } from '#lib/token';

export interface SigningKeys {
  sign(accountId: string, roles: readonly string[]): Promise<string>;
  /** JSON Web Key Set of public keys only. */
  jwksJson: string;
}

/**
 * Reads a JWK set, or a single JWK. A key without an id is known by its thumbprint.
 * @throws ConfigError when there is no key that can sign.
 */
export async function readSigningKeys(file: string): Promise<SigningKeys> {
  const content: JWK & { keys?: JWK[] } = JSON.parse(await readFile(file, 'utf8'));
  const keys = await Promise.all((content.keys ?? [content]).map(named));
  const [first] = keys;
  if (first?.d === undefined) throw new ConfigError(`SIGNING_KEY_FILE: the first key of ${file} is not a private key`);
  if (keys.some(({ kty, crv }) => kty !== 'OKP' || crv !== 'Ed25519'))
    throw new ConfigError(`SIGNING_KEY_FILE: ${file} holds a key that is not Ed25519`);
  return {
    sign: await accessTokenSigner(first),
    jwksJson: JSON.stringify({ keys: keys.map((key) => ({ ...publicJwk(key), alg: 'EdDSA', use: 'sig' })) }),
  };
}

async function named(key: JWK): Promise<JWK> {
  return { ...key, kid: key.kid ?? (await calculateJwkThumbprint(key)) };
}
