import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { eventually, freshDatabase } from '#lib/testing';

const main = new URL('./main.ts', import.meta.url);
let child: ChildProcess | undefined;

afterEach(() => {
  child?.kill('SIGKILL');
});

/** Starts the provider as its own process and answers where it listens. */
async function start(databaseUrl: string): Promise<{ provider: ChildProcess; origin: string }> {
  const provider = fork(main, { silent: true, env: { DATABASE_URL: databaseUrl } });
  child = provider;
  if (!provider.stdout) throw new Error('a silent child has a standard output');
  for await (const line of createInterface({ input: provider.stdout })) {
    const origin = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (origin) return { provider, origin };
  }
  throw new Error('the provider ended before it listened');
}

/** Leaves one request hanging, with its money taken. */
async function hang(origin: string): Promise<void> {
  const charge = { key: 'held', amount: 100, currency: 'USD', card: 'tok_timeout_charged', description: '' };
  const headers = { 'content-type': 'application/json' };
  const held = fetch(`${origin}/charges`, { method: 'POST', headers, body: JSON.stringify(charge) });
  held.catch(() => undefined); // The provider cuts it when it ends.
  await eventually(async () => (await fetch(`${origin}/charges/held`)).status === 200);
}

test('SIGTERM ends the process cleanly even while an answer is held back, and the book is still there afterwards', async () => {
  const databaseUrl = await freshDatabase('provider_process');
  const { provider, origin } = await start(databaseUrl);
  await hang(origin);
  const ended = once(provider, 'exit');
  provider.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);

  const again = await start(databaseUrl);
  expect(await (await fetch(`${again.origin}/charges/held`)).json()).toMatchObject({ charged: 100 });
});

test('the process ends by itself when its parent is gone', async () => {
  const { provider } = await start(await freshDatabase('provider_orphan'));
  const ended = once(provider, 'exit');
  provider.disconnect();
  expect(await ended).toEqual([0, null]);
});
