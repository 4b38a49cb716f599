import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bare } from './bare.testing.ts';
import { type ServiceUnderTest, startForTest, tokenOf } from './testing.ts';

const BUF = fileURLToPath(new URL('../node_modules/.bin/buf', import.meta.url));

let service: ServiceUnderTest;

beforeAll(async () => {
  service = await startForTest(bare);
});
afterAll(() => service.stop());

/** A gRPC client that is not ours and has none of our protos. */
async function bufCurl(path: string, ...options: string[]): Promise<string> {
  const address = `http://${service.address}${path}`;
  const { stdout } = await promisify(execFile)(BUF, [
    'curl',
    '--protocol',
    'grpc',
    '--http2-prior-knowledge',
    ...options,
    address,
  ]);
  return stdout;
}

test.each(['grpc-v1', 'grpc-v1alpha'])('a client lists all methods by reflection %s', async (reflection) => {
  const methods = await bufCurl('', '--list-methods', '--reflect-protocol', reflection);

  expect(methods.split('\n')).toEqual(
    expect.arrayContaining([
      'registrar.eventlog.v1.EventLogService/Follow',
      'registrar.server.v1.ServerService/ListServers',
      'grpc.health.v1.Health/Check',
    ]),
  );
});

test('a client that learned the protos by reflection calls a method with its token', async () => {
  const token = await tokenOf('clerk', 'staff');

  const answer = await bufCurl(
    '/registrar.server.v1.ServerService/ListServers',
    '-H',
    `authorization: Bearer ${token}`,
  );

  expect(JSON.parse(answer)).toMatchObject({ servers: [{ service: 'catalog', address: service.address }] });
});

test('a call without a token is refused, though reflection and health need none', async () => {
  const call = bufCurl('/registrar.server.v1.ServerService/ListServers');
  await expect(call).rejects.toMatchObject({ stderr: expect.stringContaining('unauthenticated') });

  expect(JSON.parse(await bufCurl('/grpc.health.v1.Health/Check'))).toEqual({ status: 'SERVING' });
});

test('health knows each mounted service by name, and no other', async () => {
  const check = (name: string) => bufCurl('/grpc.health.v1.Health/Check', '-d', JSON.stringify({ service: name }));

  expect(JSON.parse(await check('registrar.eventlog.v1.EventLogService'))).toEqual({ status: 'SERVING' });
  await expect(check('registrar.nothing.v1.Service')).rejects.toMatchObject({
    stderr: expect.stringContaining('not_found'),
  });
});
