/**
 * Two kinds of EdDSA token. Access tokens name an account and are signed by identity; service tokens name a process and are signed by a
 * key that all processes share, so that they work while identity is down.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createLocalJWKSet,
  decodeProtectedHeader,
  errors,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
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

/** Verifies both kinds. Keys of access tokens come from `fetchKeys`, and are asked for again when a token names an unknown one. */
export class TokenVerifier {
  readonly #serviceKey: Promise<Awaited<ReturnType<typeof importJWK>>>;
  readonly #fetchKeys: () => Promise<JSONWebKeySet>;
  readonly #verified = new Map<string, { caller: Caller; expiresAtMs: number }>();
  #keys: { known: Set<string>; get: ReturnType<typeof createLocalJWKSet> } | undefined;
  #askedAtMs = 0;
  #asking: Promise<void> | undefined;

  constructor(serviceKey: JWK, fetchKeys: () => Promise<JSONWebKeySet>) {
    this.#serviceKey = importJWK(publicJwk(serviceKey), 'EdDSA');
    this.#fetchKeys = fetchKeys;
  }

  /** @throws InvalidToken when it is malformed, expired, or signed by nobody we know. */
  async verify(token: string): Promise<Caller> {
    const seen = this.#verified.get(token);
    if (seen && seen.expiresAtMs > Date.now()) return seen.caller;
    const payload = await this.#verifySignature(token).catch((error: unknown) => {
      if (error instanceof errors.JOSEError || error instanceof TypeError)
        throw new InvalidToken('the token is not valid');
      throw error;
    });
    const caller: Caller = { id: payload.sub ?? '', roles: (payload.roles ?? []) as Role[] }; // we signed it
    this.#remember(token, caller, (payload.exp ?? 0) * 1000);
    return caller;
  }

  /** Asks for the keys of access tokens until they are known: from then on identity may be away. */
  async learnKeys(signal: AbortSignal): Promise<void> {
    while (!this.#keys && !signal.aborted) {
      await this.#askForKeys().catch(() => undefined);
      if (!this.#keys) await sleep(LEARN_PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #verifySignature(token: string): Promise<JWTPayload> {
    const { kid } = decodeProtectedHeader(token);
    const options = { audience: AUDIENCE, clockTolerance: CLOCK_TOLERANCE_SECONDS };
    // Service tokens carry no key id; an access token always does.
    if (kid === undefined)
      return (await jwtVerify(token, await this.#serviceKey, { ...options, issuer: SERVICE_ISSUER })).payload;
    const { payload } = await jwtVerify(token, await this.#keySet(kid), { ...options, issuer: ISSUER });
    if ((payload.roles as string[]).includes('system')) throw new InvalidToken('no account is the system');
    return payload;
  }

  async #keySet(kid: string) {
    if (!this.#keys?.known.has(kid)) await this.#askForKeys();
    if (!this.#keys) throw new Error('the keys of access tokens are not known yet');
    return this.#keys.get;
  }

  #askForKeys(): Promise<void> {
    if (this.#keys && Date.now() - this.#askedAtMs < KEYS_PAUSE_MS) return Promise.resolve();
    this.#asking ??= this.#fetchKeys()
      .then((jwks) => {
        this.#askedAtMs = Date.now();
        this.#keys = { known: new Set(jwks.keys.flatMap((key) => key.kid ?? [])), get: createLocalJWKSet(jwks) };
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }

  #remember(token: string, caller: Caller, expiresAtMs: number): void {
    if (this.#verified.size >= VERIFIED_MAX) {
      const oldest = this.#verified.keys().next();
      if (!oldest.done) this.#verified.delete(oldest.value);
    }
    this.#verified.set(token, { caller, expiresAtMs });
  }
}
