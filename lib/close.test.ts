import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';
import { expect, test } from 'vitest';
import { closeAnswering } from './close.ts';
import { eventually } from './testing.ts';

const KEEP_ALIVE_MS = 60_000;

/** A server that is asked and answers only after its end has begun; the client keeps its connection. */
async function endWhileAnswering(end: (server: Server, close: () => Promise<unknown>) => Promise<unknown>) {
  const { promise: gate, resolve: answer } = Promise.withResolvers<void>();
  let asked = false;
  const server = createServer(async (_request, response) => {
    asked = true;
    await gate;
    response.end('answered');
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const client = new Pool(`http://127.0.0.1:${port}`, { keepAliveTimeout: KEEP_ALIVE_MS });
  const body = client.request({ method: 'GET', path: '/' }).then((response) => response.body.text());
  await eventually(() => asked);
  let ended = false;
  const ending = end(server, () => new Promise((resolve) => server.close(resolve))).then(() => {
    ended = true;
  });
  answer();
  return { body: await body, ending, isEnded: () => ended, client, server };
}

test('a server that ends answers what is in flight, and then does not wait for its client to leave', async () => {
  const { body, ending, client } = await endWhileAnswering(closeAnswering);

  await ending;

  expect(body).toBe('answered');
  await client.destroy();
});

test('one that is only closed waits for it: the harness sees it', async () => {
  const { ending, isEnded, client } = await endWhileAnswering((_server, close) => close());

  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(isEnded()).toBe(false);

  await client.destroy();
  await ending;
});
