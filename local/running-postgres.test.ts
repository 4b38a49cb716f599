import { expect, inject, test } from 'vitest';
import { PlatformError } from './failure.ts';
import { runningPostgres } from './running-postgres.ts';

const primaryUrl = inject('primaryUrl');
const [replicaUrl = ''] = inject('replicaUrls');

test('servers that run are taken as they are', async () => {
  expect(await runningPostgres(primaryUrl, [replicaUrl])).toMatchObject({ primaryUrl, replicaUrls: [replicaUrl] });
});

test.each([
  ['text that is no URL', 'nothing', [], /^POSTGRES_URL is no URL/],
  [
    'nobody there',
    'postgres://me:secret@127.0.0.1:9',
    [],
    /^No Postgres serves us at 127\.0\.0\.1:9 \(.+\): mend POSTGRES_URL/,
  ],
  ['a replica as the primary', replicaUrl, [], /is a replica: mend POSTGRES_URL\.$/],
  ['the primary as a replica', primaryUrl, [primaryUrl], /is a primary: mend POSTGRES_REPLICA_URLS\.$/],
])('%s is one sentence that says what to do, and no password', async (_case, primary, replicas, sentence) => {
  const failure = await runningPostgres(primary, replicas).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(PlatformError);
  expect(String(failure)).not.toContain('secret');
  expect((failure as Error).message).toMatch(sentence); // as asserted above
});
