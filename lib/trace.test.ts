import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { inSpan, startTracing, traceIdIn, traceparent } from './trace.ts';

test('with an endpoint configured, spans arrive there with the process’s name and their trace', async () => {
  const received: { url: string | undefined; body: Buffer }[] = [];
  const collector = createServer(async (request, response) => {
    received.push({ url: request.url, body: await buffer(request) });
    response.end();
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const { port } = collector.address() as AddressInfo; // it listens on TCP
  const stopTracing = await startTracing('billing', `http://127.0.0.1:${port}`);

  const parent = await inSpan('charge tuition', { parent: null }, async () => traceparent());
  await stopTracing();
  collector.close();

  expect(received.map(({ url }) => url)).toEqual(['/v1/traces']);
  const [body = Buffer.alloc(0)] = received.map((one) => one.body);
  expect(body.toString('latin1')).toContain('registrar-billing');
  expect(body.toString('latin1')).toContain('charge tuition');
  const traceId = traceIdIn(parent) ?? '';
  expect(traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(body.includes(Buffer.from(traceId, 'hex')) || body.includes(traceId)).toBe(true);
});
