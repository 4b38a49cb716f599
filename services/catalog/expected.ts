/** What a Put's caller knows of what it changes: nobody overwrites what they have not seen. */
import { Code, ConnectError } from '@connectrpc/connect';
import { check } from './check.ts';
import { idsOf } from './difference.ts';

/** By id. */
export type Versions = Record<string, bigint>;

/** @throws INVALID_ARGUMENT */
export function checkExpected(expected: Versions, put: readonly { id: string }[]): void {
  const ids = new Set(idsOf(put));
  for (const [id, version] of Object.entries(expected)) {
    check(ids.has(id), `a version is expected of "${id}", which is not put`);
    check(version >= 0n, `the version that is expected of ${id} must be 0 or more`);
  }
}

/**
 * @param differing what is new or would change. What is as it is put overwrites nothing: a call that is repeated finds its own change.
 * @throws ABORTED, or ALREADY_EXISTS where it was to be new
 */
export function requireExpected(
  differing: readonly { id: string }[],
  stored: ReadonlyMap<string, { version: number }>,
  expected: Versions,
): void {
  // A record answers "constructor", too, which may be a term's id.
  const versions = new Map(Object.entries(expected));
  for (const { id } of differing) {
    const wanted = versions.get(id);
    const version = BigInt(stored.get(id)?.version ?? 0);
    if (wanted === undefined || wanted === version) continue;
    if (wanted === 0n) throw new ConnectError(`${id} exists, with other content`, Code.AlreadyExists);
    throw new ConnectError(`${id} was changed meanwhile`, Code.Aborted);
  }
}

/** After a Put: `stored` are those that were there before it, as they are now. */
export function versionsOf(put: readonly { id: string }[], stored: ReadonlyMap<string, { version: number }>): Versions {
  return Object.fromEntries(idsOf(put).map((id) => [id, versionOf(stored.get(id))]));
}

/** Undefined is what was not there: it is new. */
export function versionOf(known: { version: number } | undefined): bigint {
  return BigInt(known?.version ?? 1);
}
