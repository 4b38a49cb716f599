/** Versions as HTTP says them: `ETag: "7"`, `If-Match: "7"`. */
import { malformed } from './problem.ts';

const STRONG_TAG = /^"(\d{1,18})"$/;

export function entityTag(version: bigint): string {
  return `"${version}"`;
}

/** The version that If-Match names; undefined where any will do. @throws Problem 400 */
export function versionOf(ifMatch: string | undefined): bigint | undefined {
  if (ifMatch === undefined || ifMatch.trim() === '*') return undefined;
  const version = STRONG_TAG.exec(ifMatch.trim())?.[1];
  if (version === undefined) throw malformed('If-Match', 'must be one ETag, as an answer gave it');
  return BigInt(version);
}
