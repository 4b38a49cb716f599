/** Versions as HTTP says them: `ETag: "7"`, `If-Match: "7"`. */
import { Code, ConnectError } from '@connectrpc/connect';
import { malformed, Problem } from './problem.ts';

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

/** Whether a service says that what was to be changed has another version than the one it was told. */
export function isAborted(error: unknown): boolean {
  return error instanceof ConnectError && error.code === Code.Aborted;
}

export function changedMeanwhile(): Problem {
  return new Problem(412, 'changed-meanwhile', 'It is not the version that If-Match names.', {
    remedy: 'Read it again, then change it.',
  });
}
