import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Code, ConnectError, type ConnectRouter } from '@connectrpc/connect';
import { fastifyConnectPlugin } from '@connectrpc/connect-fastify';
import { fastify } from 'fastify';
import { afterEach, expect, test } from 'vitest';
import { EventLogService } from '#proto/eventlog/v1/service';
import { ServerService } from '#proto/server/v1/service';
import { Health } from '../gen/grpc/health/v1/health_pb.ts';
import type { Clients } from './clients.ts';
import { Refusal, refusalOf, refusalToConnectError } from './refusal.ts';
import { clientsOf, eventually } from './testing.ts';

const NOWHERE = '127.0.0.1:9';
/** Longer than it takes to find out that an instance hangs, on any machine. */
const PATIENCE_MS = 30_000;

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

function clientsAt(...addresses: string[]): Clients {
  const clients = clientsOf({ catalog: addresses }, 'a-token');
  cleanUps.push(() => clients.close());
  return clients;
}

/** Serves these handlers in this process, and answers where. */
async function served(routes: (router: ConnectRouter) => void): Promise<string> {
  const server = fastify({ http2: true, http2SessionTimeout: 0 });
  await server.register(fastifyConnectPlugin, { routes });
  await server.listen({ host: '127.0.0.1', port: 0 });
  cleanUps.push(() => server.close());
  const { address, port } = server.server.address() as AddressInfo; // it listens on TCP
  return `${address}:${port}`;
}

/** An instance in a process of its own. */
async function forked(): Promise<{ child: ChildProcess; address: string }> {
  const child = fork(new URL('./killable.testing.ts', import.meta.url));
  cleanUps.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const [address] = await once(child, 'message');
  return { child, address };
}

test.each(['SIGKILL', 'SIGSTOP'] as const)(
  'of two instances, one may get %s without a failed idempotent call',
  async (signal) => {
    const instances = await Promise.all([forked(), forked()]);
    const [victim, survivor] = instances;
    const client = clientsAt(...instances.map(({ address }) => address)).of(ServerService, 'catalog');
    const answeredBy = async () => (await client.listServers({}, { timeoutMs: PATIENCE_MS })).servers[0]?.address ?? '';
    const seen = new Set<string>();
    await eventually(async () => seen.add(await answeredBy()).size === 2, { what: 'answers of both instances' });

    const answers: Promise<string>[] = [];
    for (let n = 0; n < 100; n++) {
      answers.push(answeredBy());
      if (n === 50) victim.child.kill(signal);
      await new Promise(setImmediate);
    }

    expect(await Promise.all(answers)).toHaveLength(100);
    const after = await Promise.all(Array.from({ length: 20 }, answeredBy));
    expect(new Set(after)).toEqual(new Set([survivor.address]));
  },
);

test('an idempotent call that meets an outage is tried again; another one is not', async () => {
  const calls = { idempotent: 0, other: 0 };
  const away = new ConnectError('away', Code.Unavailable);
  const address = await served((router) => {
    router.service(ServerService, {
      listServers: () => {
        if (++calls.idempotent < 3) throw away;
        return {};
      },
    });
    router.service(Health, {
      check: () => {
        calls.other++;
        throw away;
      },
    });
  });
  const clients = clientsAt(address);

  await clients.of(ServerService, 'catalog').listServers({});
  await expect(clients.of(Health, 'catalog').check({})).rejects.toMatchObject({ code: Code.Unavailable });

  expect(calls).toEqual({ idempotent: 3, other: 1 });
});

test('what a service refused is not tried again, and keeps its reason, sentence and remedy', async () => {
  let calls = 0;
  const address = await served((router) => {
    router.service(ServerService, {
      listServers: () => {
        calls++;
        throw refusalToConnectError(new Refusal('section-full', 'Kein Platz mehr: 満席.', 'Choose another.'));
      },
    });
  });

  const error = await clientsAt(address)
    .of(ServerService, 'catalog')
    .listServers({})
    .catch((reason: unknown) => reason);

  expect(error).toMatchObject({ code: Code.FailedPrecondition });
  expect(refusalOf(error)).toMatchObject({
    reason: 'section-full',
    message: 'Kein Platz mehr: 満席.',
    remedy: 'Choose another.',
  });
  expect(calls).toBe(1);
});

test('a call carries the token and the caller’s deadline, and its answer the headers', async () => {
  const address = await served((router) => {
    router.service(ServerService, {
      listServers: (_request, context) => {
        context.responseHeader.set('consistency-token', 'catalog:7');
        const remaining = context.timeoutMs() ?? 0;
        return { servers: [{ service: context.requestHeader.get('authorization') ?? '', load: remaining }] };
      },
    });
  });
  let token: string | null = null;

  const { servers } = await clientsAt(address)
    .of(ServerService, 'catalog')
    .listServers({}, { timeoutMs: 60_000, onHeader: (headers) => (token = headers.get('consistency-token')) });

  expect(servers[0]?.service).toBe('Bearer a-token');
  expect(servers[0]?.load).toBeGreaterThan(0);
  expect(servers[0]?.load).toBeLessThanOrEqual(60_000);
  expect(token).toBe('catalog:7');
});

test('a call ends at its deadline, retries included', async () => {
  const calls = clientsAt(NOWHERE).of(ServerService, 'catalog').listServers({}, { timeoutMs: 20 });
  const { code } = ConnectError.from(await calls.catch((error: unknown) => error));
  expect([Code.DeadlineExceeded, Code.Unavailable]).toContain(code);
});

test('a call that nobody waits for any more is cancelled at the server', async () => {
  let asked = false;
  let cancelled = false;
  const address = await served((router) => {
    router.service(ServerService, {
      listServers: (_request, { signal }) =>
        new Promise((resolve) => {
          asked = true;
          signal.addEventListener('abort', () => {
            cancelled = true;
            resolve({});
          });
        }),
    });
  });
  const abort = new AbortController();
  const call = clientsAt(address).of(ServerService, 'catalog').listServers({}, { signal: abort.signal });

  await eventually(() => asked);
  abort.abort();

  await expect(call).rejects.toMatchObject({ code: Code.Canceled });
  await eventually(() => cancelled, { what: 'the handler told' });
});

test('a stream tells why it ended: refused, broken off, or nobody there', async () => {
  const address = await served((router) => {
    router.service(EventLogService, {
      async *follow({ afterPosition }) {
        if (afterPosition === 0n) throw new ConnectError('not for you', Code.PermissionDenied);
        yield { headPosition: 1n };
        throw new ConnectError('away', Code.Unavailable);
      },
    });
  });
  const read = async (at: string, afterPosition: bigint) => {
    const heads: bigint[] = [];
    try {
      for await (const { headPosition } of clientsAt(at).of(EventLogService, 'catalog').follow({ afterPosition }))
        heads.push(headPosition);
    } catch (error) {
      return { heads, code: error instanceof ConnectError ? Code[error.code] : error };
    }
    return { heads, code: undefined };
  };

  expect(await read(address, 0n)).toEqual({ heads: [], code: 'PermissionDenied' });
  expect(await read(address, 1n)).toEqual({ heads: [1n], code: 'Unavailable' });
  expect(await read(NOWHERE, 1n)).toEqual({ heads: [], code: 'Unavailable' });
});

test('a stream that its reader aborts is cancelled at the server', async () => {
  let cancelled = false;
  const address = await served((router) => {
    router.service(EventLogService, {
      async *follow(_request, { signal }) {
        signal.addEventListener('abort', () => {
          cancelled = true;
        });
        while (!signal.aborted) {
          yield { headPosition: 1n };
          await new Promise(setImmediate);
        }
      },
    });
  });

  const reader = new AbortController();
  const stream = clientsAt(address).of(EventLogService, 'catalog').follow({}, { signal: reader.signal });
  const reading = (async () => {
    for await (const _ of stream) reader.abort();
  })();

  await expect(reading).rejects.toMatchObject({ code: Code.Canceled });
  await eventually(() => cancelled, { what: 'the handler told' });
});

test('a stream whose reader has given up before it began does not begin', async () => {
  let asked = false;
  const address = await served((router) => {
    router.service(EventLogService, {
      async *follow() {
        asked = true;
        yield { headPosition: 1n };
      },
    });
  });
  const stream = clientsAt(address).of(EventLogService, 'catalog').follow({}, { signal: AbortSignal.abort() });
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: Code.Canceled });
  expect(asked).toBe(false);
});
