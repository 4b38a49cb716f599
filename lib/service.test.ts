import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventLogService } from '#proto/eventlog/v1/service';
import { KeyService } from '#proto/keys/v1/service';
import { ServerService, Server_State as State } from '#proto/server/v1/service';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../gen/grpc/health/v1/health_pb.ts';
import { bare, happen } from './bare.testing.ts';
import type { ServiceDefinition } from './service.ts';
import { eventually, freshServiceDatabase, type ServiceUnderTest, startForTest, tokenOf } from './testing.ts';

let databaseUrl: string;
let running: ServiceUnderTest[];

beforeEach(async () => {
  databaseUrl = await freshServiceDatabase(bare);
  running = [];
});
afterEach(async () => {
  await Promise.all(running.map((service) => service.stop()));
});

async function start(definition: ServiceDefinition = bare): Promise<ServiceUnderTest> {
  const service = await startForTest(definition, { DATABASE_URL: databaseUrl });
  running.push(service);
  return service;
}

async function stop(service: ServiceUnderTest): Promise<void> {
  running = running.filter((other) => other !== service);
  await service.stop();
}

/** Each instance with its state, as one of them tells. */
async function states(service: ServiceUnderTest): Promise<Record<string, State>> {
  const { servers } = await service.client(ServerService).listServers({});
  return Object.fromEntries(servers.map(({ address, state }) => [address, state]));
}

test('every instance on a database is seen by each, until it leaves', async () => {
  const [one, other] = [await start(), await start()];
  expect(await states(one)).toEqual({ [one.address]: State.SERVING, [other.address]: State.SERVING });
  expect(await states(other)).toEqual(await states(one));

  await stop(other);

  expect(await states(one)).toEqual({ [one.address]: State.SERVING });
});

test('an instance that sends no heartbeat any more is lost, and one that drains says so', async () => {
  const service = await start();
  const insert = `insert into instances (service, address, state, since, heartbeat_at, load)
    values ('catalog', $1, $2, now(), now() - make_interval(secs => $3), 0)`;
  const { query } = service.parts.database;
  await query(insert, ['10.0.0.1:1', 'serving', 16]);
  await query(insert, ['10.0.0.2:1', 'draining', 1]);
  await query(insert, ['10.0.0.3:1', 'serving', 5_000]);

  expect(await states(service)).toEqual({
    [service.address]: State.SERVING,
    '10.0.0.1:1': State.LOST,
    '10.0.0.2:1': State.DRAINING,
    '10.0.0.3:1': State.LOST,
  });
  // Who comes next forgets those of long ago.
  const next = await start();
  expect(Object.keys(await states(next))).not.toContain('10.0.0.3:1');
});

test('an instance that ends answers what it was asked, and tells meanwhile that it drains', async () => {
  let asked = false;
  let answer: () => void = () => undefined;
  const slow: ServiceDefinition = {
    ...bare,
    build: () => ({
      services: [KeyService],
      routes: (router) =>
        router.service(KeyService, {
          getKeys: async () => {
            asked = true;
            await new Promise<void>((resolve) => {
              answer = resolve;
            });
            return { jwksJson: '{}' };
          },
        }),
    }),
  };
  const [witness, service] = [await start(), await start(slow)];
  const call = service.client(KeyService).getKeys({}, { timeoutMs: 30_000 });
  await eventually(() => asked);
  const health = service.client(Health);
  expect(await health.check({})).toMatchObject({ status: Status.SERVING });

  const stopping = stop(service);
  await eventually(async () => (await states(witness))[service.address] === State.DRAINING, { what: 'draining' });
  answer();

  expect(await call).toMatchObject({ jwksJson: '{}' });
  await stopping;
  expect(await states(witness)).toEqual({ [witness.address]: State.SERVING });
});

test('an instance that is followed ends without waiting for its followers', async () => {
  const service = await start();
  await happen(service, 'a');
  const heads: bigint[] = [];
  const reading = (async () => {
    for await (const { headPosition } of service.client(EventLogService).follow({})) heads.push(headPosition);
  })().catch(() => undefined);
  await eventually(() => heads.length > 0);

  const stopping = stop(service).then(() => 'ended');

  // Calls in flight may take as long as 10 s to drain; a stream that never ends is not one to wait for.
  expect(await Promise.race([stopping, sleep(8_000, 'waits', { ref: false })])).toBe('ended');
  await reading;
});

test('the log is for the system and staff', async () => {
  const service = await start();
  await happen(service, 'a');
  const as = async (role: 'student' | 'staff') => service.client(EventLogService, await tokenOf('somebody', role));

  expect((await (await as('staff')).readEvents({})).events).toHaveLength(1);
  await expect((await as('student')).readEvents({})).rejects.toMatchObject({ code: Code.PermissionDenied });
  const stream = (await as('student')).follow({})[Symbol.asyncIterator]();
  await expect(stream.next()).rejects.toMatchObject({ code: Code.PermissionDenied });
});

test.each([
  ['has U+0000', '\0'],
  ['is too long to be told of', 'x'.repeat(20_001)],
])('a text that %s gets no further than the chassis', async (_case, subject) => {
  const service = await start();
  const reading = service.client(EventLogService).readEvents({ subject });
  await expect(reading).rejects.toMatchObject({
    code: Code.InvalidArgument,
    rawMessage: expect.stringMatching(/^subject: /),
  });
});

test('a request that is larger than any that is meant to be sent is not read to its end', async () => {
  const service = await start();
  const reading = service.client(EventLogService).readEvents({ subject: 'x'.repeat(9 * 1024 * 1024) });
  await expect(reading).rejects.toMatchObject({ code: Code.ResourceExhausted });
});
