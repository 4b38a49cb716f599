/**
 * Two kinds of EdDSA token. Access tokens name an account and are signed by identity; service tokens name a process and are signed by a
 * key that all processes share, so that they work while identity is down.
 */
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Algorithm, verifySync } from '@node-rs/jsonwebtoken';
import { decodeProtectedHeader, importJWK, type JSONWebKeySet, type JWK, type JWTPayload, SignJWT } from 'jose';
import type { Caller, Role } from './caller.ts';

export const ACCESS_TOKEN_SECONDS = 15 * 60;
const SERVICE_TOKEN_SECONDS = 10 * 60;
const ISSUER = 'registrar';
const SERVICE_ISSUER = 'registrar-services';
const AUDIENCE = 'registrar';
const CLOCK_TOLERANCE_SECONDS = 5;
/** Verified tokens kept, so that a client's next call costs a look-up. */
const VERIFIED_MAX = 20_000;
/** Between two questions for keys, however many tokens name one that is not known. */
const KEYS_PAUSE_MS = 5_000;
/** Of a process that starts, between two questions for its first keys. */
const LEARN_PAUSE_MS = 500;

export class InvalidToken extends Error {}

export async function readJwk(file: string): Promise<JWK> {
  return JSON.parse(await readFile(file, 'utf8'));
}

/** The public half. */
export function publicJwk({ d: _private, ...jwk }: JWK): JWK {
  return jwk;
}

/** Signs access tokens, good for {@link ACCESS_TOKEN_SECONDS}. */
export async function accessTokenSigner(
  jwk: JWK,
): Promise<(accountId: string, roles: readonly string[]) => Promise<string>> {
  const key = await importJWK(jwk, 'EdDSA');
  return (accountId, roles) =>
    new SignJWT({ roles: [...roles] })
      .setProtectedHeader({ alg: 'EdDSA', ...(jwk.kid ? { kid: jwk.kid } : {}) })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(accountId)
      .setIssuedAt()
      .setExpirationTime(`${ACCESS_TOKEN_SECONDS}s`)
      .sign(key);
}

/** Answers this process's service token, and signs a new one when half its time is over. */
export function serviceTokens(jwk: JWK, name: string): () => Promise<string> {
  let token: Promise<string> | undefined;
  let renewAt = 0;
  return () => {
    if (!token || Date.now() >= renewAt) {
      renewAt = Date.now() + (SERVICE_TOKEN_SECONDS * 1000) / 2;
      token = signServiceToken(jwk, name);
    }
    return token;
  };
}

async function signServiceToken(jwk: JWK, name: string): Promise<string> {
  return new SignJWT({ roles: ['system'] })
    .setProtectedHeader({ alg: 'EdDSA' })
    .setIssuer(SERVICE_ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(`service:${name}`)
    .setIssuedAt()
    .setExpirationTime(`${SERVICE_TOKEN_SECONDS}s`)
    .sign(await importJWK(jwk, 'EdDSA'));
}

type VerifySignature = (token: string) => JWTPayload;

interface Verified {
  caller: Caller;
  /** Epoch milliseconds. */
  goodUntilMs: number;
}

/**
 * Verifies both kinds. Keys of access tokens come from `fetchKeys`, and are asked for again when a token names an unknown one. On this
 * thread: handing each signature to another one took longer than the signature itself.
 */
export class TokenVerifier {
  readonly #verifyServiceToken: VerifySignature;
  readonly #fetchKeys: () => Promise<JSONWebKeySet>;
  readonly #verified = new Map<string, Verified>();
  /** By key id. */
  #verifyAccessToken: Map<string, VerifySignature> | undefined;
  /** By the first segment of tokens that were good, which is the same for all that one key signs. */
  readonly #verifyByHeader = new Map<string, VerifySignature>();
  #askedAtMs = 0;
  #asking: Promise<void> | undefined;

  constructor(serviceKey: JWK, fetchKeys: () => Promise<JSONWebKeySet>) {
    this.#verifyServiceToken = signatureVerifier(serviceKey, SERVICE_ISSUER);
    this.#fetchKeys = fetchKeys;
  }

  /** @throws InvalidToken when it is malformed, expired, or signed by nobody we know. */
  async verify(token: string): Promise<Caller> {
    const { caller, goodUntilMs } = this.#verified.get(token) ?? (await this.#verifyNew(token));
    if (goodUntilMs <= Date.now()) throw new InvalidToken('the token has expired');
    return caller;
  }

  /** Asks for the keys of access tokens until they are known: from then on identity may be away. */
  async learnKeys(signal: AbortSignal): Promise<void> {
    while (!this.#verifyAccessToken && !signal.aborted) {
      await this.#askForKeys().catch(() => undefined);
      if (!this.#verifyAccessToken)
        await sleep(LEARN_PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #verifyNew(token: string): Promise<Verified> {
    const { sub = '', roles = [], exp = 0 } = await this.#claimsOf(token);
    const caller: Caller = { id: sub, roles: roles as Role[] }; // we signed it
    const verified = { caller, goodUntilMs: (exp + CLOCK_TOLERANCE_SECONDS) * 1000 };
    this.#remember(token, verified);
    return verified;
  }

  async #claimsOf(token: string): Promise<JWTPayload> {
    const header = token.slice(0, token.indexOf('.'));
    const known = this.#verifyByHeader.get(header);
    if (known) return known(token);
    const kid = keyIdOf(token);
    // Service tokens carry no key id; an access token always does.
    const verify = kid === undefined ? this.#verifyServiceToken : await this.#verifierOf(kid);
    const claims = verify(token);
    this.#verifyByHeader.set(header, verify);
    return claims;
  }

  async #verifierOf(kid: string): Promise<VerifySignature> {
    if (!this.#verifyAccessToken?.has(kid)) await this.#askForKeys();
    if (!this.#verifyAccessToken) throw new Error('the keys of access tokens are not known yet');
    const verifier = this.#verifyAccessToken.get(kid);
    if (!verifier) throw new InvalidToken('the token is signed by nobody we know');
    return verifier;
  }

  #askForKeys(): Promise<void> {
    if (this.#verifyAccessToken && performance.now() - this.#askedAtMs < KEYS_PAUSE_MS) return Promise.resolve();
    this.#asking ??= this.#fetchKeys()
      .then(({ keys }) => {
        this.#askedAtMs = performance.now();
        this.#verifyAccessToken = new Map(keys.map((key) => [key.kid ?? '', accessTokenVerifier(key)]));
        this.#verifyByHeader.clear();
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  #remember(token: string, verified: Verified): void {
    if (this.#verified.size >= VERIFIED_MAX) {
      const oldest = this.#verified.keys().next();
      if (!oldest.done) this.#verified.delete(oldest.value);
    }
    this.#verified.set(token, verified);
  }
}

function accessTokenVerifier(jwk: JWK): VerifySignature {
  const verify = signatureVerifier(jwk, ISSUER);
  return (token) => {
    const claims = verify(token);
    if (Array.isArray(claims.roles) && !claims.roles.includes('system')) return claims;
    throw new InvalidToken('no account is the system');
  };
}

function keyIdOf(token: string): string | undefined {
  try {
    return decodeProtectedHeader(token).kid;
  } catch (error) {
    throw new InvalidToken('the token is not a JSON Web Token', { cause: error });
  }
}

/**
 * Verifies that a token is one of this issuer's for us, signed with this key, and not expired. Every service checks every token, so this
 * is a part of each registration's cost: this library's curve takes 0.04 ms, OpenSSL's 0.11.
 *
 * @throws InvalidToken
 */
function signatureVerifier(jwk: JWK, issuer: string): VerifySignature {
  const key = createPublicKey({ key: publicJwk(jwk) as JsonWebKey, format: 'jwk' });
  const pem = key.export({ type: 'spki', format: 'pem' });
  const validation = {
    algorithms: ['EdDSA' as Algorithm], // the enum exists in its types only
    iss: [issuer],
    aud: [AUDIENCE],
    requiredSpecClaims: ['iss', 'aud', 'sub', 'exp'],
    leeway: CLOCK_TOLERANCE_SECONDS,
  };
  return (token) => {
    try {
      return verifySync(token, pem, validation);
    } catch (error) {
      throw new InvalidToken('the token is not valid', { cause: error });
    }
  };
}
