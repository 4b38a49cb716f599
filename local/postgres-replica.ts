import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import type { Keeper } from './keeper.ts';
import { type ClusterPlace, connected, memberKeeper, SUPERUSER, urlOf } from './postgres-member.ts';
import { own } from './postgres-user.ts';

/** What belongs to one server's run and is made anew by the other. */
const emptied = ['wal', 'replslot', 'dynshmem', 'notify', 'serial', 'snapshots', 'stat_tmp', 'subtrans'];
const emptiedFolders = new Set(emptied.map((name) => `pg_${name}`));
const leftOut = new Set(['postmaster.pid', 'postmaster.opts', 'pg_internal.init', 'standby.signal', 'backup_label']);

/** A keeper for a streaming replica of the running primary, whose files are copied first where it needs them. */
export async function replicaKeeper(
  place: ClusterPlace,
  name: string,
  ports: { primary: number; own: number },
): Promise<Keeper> {
  await connected(urlOf(place, ports.primary), async (primary) => {
    if (!(await canFollow(primary, place, name))) await copyPrimary(primary, place, name);
  });
  const source = [
    `host=127.0.0.1 port=${ports.primary} user=${SUPERUSER} password=${place.password}`,
    `application_name=${name} sslmode=disable gssencmode=disable`,
  ].join(' ');
  return memberKeeper(place, name, ports.own, [
    `primary_conninfo = '${source}'`,
    `primary_slot_name = '${slotOf(name)}'`,
  ]);
}

function slotOf(name: string): string {
  return name.replaceAll('-', '_');
}

/** False where the replica was never made, or was away so long that the primary gave up what it would need. */
async function canFollow(primary: pg.Client, place: ClusterPlace, name: string): Promise<boolean> {
  const { rows } = await primary.query<{ wal_status: string | null }>(
    'select wal_status from pg_replication_slots where slot_name = $1',
    [slotOf(name)],
  );
  return existsSync(join(place.folder, name)) && rows[0] !== undefined && rows[0].wal_status !== 'lost';
}

/** A base backup: the npm package brings no pg_basebackup, but the server's own functions are all it needs. */
async function copyPrimary(primary: pg.Client, place: ClusterPlace, name: string): Promise<void> {
  const folder = join(place.folder, name);
  const unfinished = `${folder}.new`;
  for (const old of [folder, unfinished]) rmSync(old, { recursive: true, force: true });
  await primary.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [
    slotOf(name),
  ]);
  await primary.query('select pg_create_physical_replication_slot($1, true)', [slotOf(name)]);
  await primary.query('select pg_backup_start($1, true)', [name]);
  copyFolder(join(place.folder, 'primary'), unfinished);
  const { rows } = await primary.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)');
  writeFileSync(join(unfinished, 'backup_label'), rows[0]?.labelfile ?? '', { mode: 0o600 });
  writeFileSync(join(unfinished, 'standby.signal'), '', { mode: 0o600 });
  if (place.runAs.user) own(unfinished, place.runAs.user);
  renameSync(unfinished, folder);
}

function copyFolder(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (leftOut.has(entry.name) || entry.name.startsWith('pgsql_tmp')) continue;
    const target = join(to, entry.name);
    if (emptiedFolders.has(entry.name)) mkdirSync(target, { mode: 0o700 });
    else if (entry.isDirectory()) copyFolder(join(from, entry.name), target);
    else copyUnlessGone(join(from, entry.name), target);
  }
}

/** The primary goes on working: what it removes meanwhile, the log that the replica replays removes too. */
function copyUnlessGone(from: string, to: string): void {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  } catch (failure) {
    if (!(failure instanceof Error && 'code' in failure && failure.code === 'ENOENT')) throw failure;
  }
}
