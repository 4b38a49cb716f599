import type { AddressInfo } from 'node:net';
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { fastifyConnectPlugin } from '@connectrpc/connect-fastify';
import { fastify } from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { clientsOf } from '#lib/testing';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { gatherRegistrations } from './gather.ts';

const TIMEOUT_MS = 2_000;
/** As many as are sent at once: two calls of 256. */
const IN_FLIGHT = 512;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** An enrollment that takes calls and never answers; `seen` tells how long each caller would wait. */
async function hungEnrollment() {
  const seen: { entries: number; timeoutMs: number }[] = [];
  const server = fastify({ http2: true, http2SessionTimeout: 0 });
  const registerMany = async ({ entries }: { entries: unknown[] }, context: HandlerContext): Promise<never> => {
    seen.push({ entries: entries.length, timeoutMs: context.timeoutMs() ?? Number.POSITIVE_INFINITY });
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
    throw new ConnectError('it hung', Code.Canceled);
  };
  await server.register(fastifyConnectPlugin, {
    routes: (router) => router.service(EnrollmentService, { registerMany }),
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const { port } = server.server.address() as AddressInfo; // it listens on TCP
  const clients = clientsOf({ enrollment: [`127.0.0.1:${port}`] }, 'a-token');
  cleanUps.push(
    () => server.close(),
    () => clients.close(),
  );
  return { seen, client: clients.of(EnrollmentService, 'enrollment') };
}

test('who waits behind calls that hang hears so by their own deadline, and is not sent when it is over', async () => {
  const { seen, client } = await hungEnrollment();
  const register = gatherRegistrations(client, TIMEOUT_MS);

  const answers = await Promise.allSettled(Array.from({ length: IN_FLIGHT + 1 }, () => register({})));

  for (const answer of answers)
    expect(answer).toMatchObject({ status: 'rejected', reason: { cause: { code: Code.DeadlineExceeded } } });
  const late = seen.slice(2);
  expect(seen.slice(0, 2).map(({ entries }) => entries)).toEqual([256, 256]);
  // One that was asked for a moment later than those may be sent with what is left: a moment.
  expect(late.filter(({ timeoutMs }) => timeoutMs > TIMEOUT_MS / 2)).toEqual([]);
});
