/** Postgres servers that somebody else runs, instead of ours. */
import { PlatformError } from './failure.ts';
import type { Servers } from './postgres.ts';
import { connected } from './postgres-member.ts';

/**
 * @param primaryUrl of somebody who may create databases.
 * @throws PlatformError where one does not answer, or is not what it should be
 */
export async function runningPostgres(primaryUrl: string, replicaUrls: string[]): Promise<Servers> {
  await check('POSTGRES_URL', primaryUrl, 'primary');
  for (const url of replicaUrls) await check('POSTGRES_REPLICA_URLS', url, 'replica');
  return { primaryUrl, replicaUrls, stop: async () => undefined };
}

async function check(variable: string, url: string, wanted: 'primary' | 'replica'): Promise<void> {
  if (!URL.canParse(url)) throw new PlatformError(`${variable} is no URL: write postgres://user:password@host:port.`);
  const { host } = new URL(url);
  const found = await roleAt(url).catch((failure: Error) => {
    throw new PlatformError(`No Postgres serves us at ${host} (${failure.message}): mend ${variable}, or unset it.`);
  });
  if (found !== wanted) throw new PlatformError(`The Postgres at ${host} is a ${found}: mend ${variable}.`);
}

async function roleAt(url: string): Promise<'primary' | 'replica'> {
  return connected(url, async (client) => {
    const { rows } = await client.query<{ replica: boolean }>('select pg_is_in_recovery() as replica');
    return rows[0]?.replica ? 'replica' : 'primary';
  });
}
