import { spawnSync } from 'node:child_process';
import { chownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PlatformError } from './failure.ts';

/** Postgres refuses to run as root; `nobody` has this number on every Linux. */
const NOBODY = 65_534;
const unshare = ['unshare', '--user', `--map-user=${NOBODY}`];

/** Who runs Postgres: commands are prefixed, or given another user, or left as they are. */
export interface PostgresUser {
  prefix: string[];
  user?: { uid: number; gid: number };
}

/**
 * Finds a user that may run Postgres on this folder, and makes the folder that user's own.
 * For root that is `nobody` where it can reach the folder and the binaries; otherwise root itself, which a user
 * namespace shows to Postgres as `nobody`.
 */
export function postgresUser(folder: string, binary: string): PostgresUser {
  if (process.getuid?.() !== 0) return { prefix: [] };
  const user = { uid: NOBODY, gid: NOBODY };
  own(folder, user);
  if (canReach(folder, binary, user)) return { prefix: [], user };
  own(folder, { uid: 0, gid: 0 });
  const [command = '', ...options] = unshare;
  if (spawnSync(command, [...options, 'true']).status === 0) return { prefix: unshare };
  throw new PlatformError(
    `Postgres does not run as root, another user cannot reach ${folder}, and user namespaces are not allowed here: ` +
      'start as an ordinary user, or choose a folder with --data that everybody may enter.',
  );
}

function canReach(folder: string, binary: string, user: { uid: number; gid: number }): boolean {
  const script = 'cd "$1" && test -w . && "$2" --version';
  return spawnSync('/bin/sh', ['-c', script, 'probe', folder, binary], { cwd: '/', ...user }).status === 0;
}

/** Makes a folder and all in it this user's own. */
export function own(folder: string, { uid, gid }: { uid: number; gid: number }): void {
  if (lstatSync(folder).uid === uid) return;
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    chownSync(join(folder, entry), uid, gid);
  }
  // Last, so that an interrupted change is made again.
  chownSync(folder, uid, gid);
}
