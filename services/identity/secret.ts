/** What somebody holds to prove who they are. Only its digest is kept. */
import { createHash, randomBytes } from 'node:crypto';

const SECRET_BYTES = 32;

/** 256 random bits, as text that may stand in a URL. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

/** SHA-256: a random secret needs nothing slower. */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}
