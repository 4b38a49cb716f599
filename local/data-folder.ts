import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PlatformError } from './failure.ts';
import { takeLock } from './lock.ts';
import { endLeftover } from './running-process.ts';

/** Counts up when an older data folder cannot be read any more. */
const LAYOUT = 1;
const FREE_BYTES_MIN = 512 * 1024 * 1024;
const REMOVE_RETRIES_MAX = 5;

export interface DataFolder {
  path: string;
  postgres: string;
  temporal: string;
  logs: string;
  /** Which processes run, for the next start to find what was left behind. */
  run: string;
  release(): void;
}

/**
 * Takes a data folder for one platform, makes it where there is none, and ends what a killed platform left running.
 * `fresh` empties it. @throws PlatformError where it is in use, another's, of another version, or its disk is full
 */
export async function takeDataFolder(folder: string, { fresh = false } = {}): Promise<DataFolder> {
  const path = resolve(folder);
  checkOurs(path);
  mkdirSync(path, { recursive: true });
  const lock = takeLock(join(path, 'lock'));
  if (!lock)
    throw new PlatformError(`A platform already runs on ${path}: stop it, or choose another folder with --data.`);
  const parts = { postgres: join(path, 'postgres'), temporal: join(path, 'temporal'), run: join(path, 'run') };
  try {
    await endLeftovers(Object.values(parts));
    if (fresh) empty(path);
    checkLayout(path);
    checkSpace(path);
    mkdirSync(parts.run, { recursive: true, mode: 0o700 });
    return { path, ...parts, logs: join(path, 'logs'), release: () => lock.release() };
  } catch (failure) {
    lock.release();
    throw failure;
  }
}

function markerOf(path: string): string {
  return join(path, 'registrar.json');
}

/** Nobody's own files are mixed with ours, nor emptied by `--fresh`. */
function checkOurs(path: string): void {
  if (!existsSync(path) || existsSync(markerOf(path))) return;
  // An interrupted first start leaves no more than the lock.
  if (readdirSync(path).every((name) => name === 'lock')) return;
  throw new PlatformError(`${path} holds something else than a platform: choose another folder with --data.`);
}

function checkLayout(path: string): void {
  const marker = markerOf(path);
  if (!existsSync(marker)) writeFileSync(marker, `${JSON.stringify({ layout: LAYOUT })}\n`);
  const found: { layout?: unknown } = JSON.parse(readFileSync(marker, 'utf8'));
  if (found.layout === LAYOUT) return;
  throw new PlatformError(
    `${path} was made by another version of Registrar (layout ${String(found.layout)}, this one reads ${LAYOUT}): ` +
      'begin anew with --fresh, or choose another folder with --data.',
  );
}

function checkSpace(path: string): void {
  const { bavail, bsize } = statfsSync(path);
  const freeBytes = bavail * bsize;
  if (freeBytes >= FREE_BYTES_MIN) return;
  const [free, needed] = [freeBytes, FREE_BYTES_MIN].map((bytes) => Math.floor(bytes / 1024 / 1024));
  throw new PlatformError(
    `The disk of ${path} is full: ${free} MB are left and ${needed} MB are needed. Free some space, or use --data.`,
  );
}

async function endLeftovers(folders: string[]): Promise<void> {
  const files = folders.filter((folder) => existsSync(folder)).flatMap((folder) => pidFilesIn(folder));
  await Promise.all(files.map((file) => endLeftover(file, 'SIGQUIT')));
}

function pidFilesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.pid'))
    .map((name) => join(folder, name));
}

/** All but the lock, which is held, and the marker last, so that an interrupted removal can be repeated. */
function empty(path: string): void {
  const names = readdirSync(path).filter((name) => name !== 'lock' && name !== 'registrar.json');
  for (const name of [...names, 'registrar.json']) {
    rmSync(join(path, name), { recursive: true, force: true, maxRetries: REMOVE_RETRIES_MAX });
  }
}
