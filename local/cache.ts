import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where this user keeps what is costly to make and can be made again. */
export function cacheFolder(environment: Record<string, string | undefined>): string {
  return join(environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), '.cache'), 'registrar');
}
