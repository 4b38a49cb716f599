import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Edge } from './edge.ts';

let server: Server;
let edge: Edge;

/** An edge that gives these answers one after the other, and the last one from then on. */
async function answering(...answers: { status: number; headers?: Record<string, string> }[]): Promise<void> {
  server = createServer((_request, response) => {
    const { status, headers = {} } = (answers.length > 1 ? answers.shift() : answers[0]) ?? { status: 500 };
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  edge = new Edge(`http://127.0.0.1:${port}`);
}

afterEach(async () => {
  await edge.close();
  await new Promise((resolve) => server.close(resolve));
});

test('who is told to come back later comes back, not before the time', async () => {
  await answering({ status: 429, headers: { 'retry-after': '1' } }, { status: 503 }, { status: 201 });

  const { status, attempts, tookMs } = await edge.ask({ method: 'POST', path: '/v1/sessions', body: {} });

  expect({ status, attempts }).toEqual({ status: 201, attempts: 3 });
  expect(tookMs).toBeGreaterThanOrEqual(1_000);
});

test('an answer that says no is an answer', async () => {
  await answering({ status: 422, headers: { 'consistency-token': 'enrollment:7' } });

  const answer = await edge.ask({ method: 'PUT', path: '/v1/registrations/x', body: {} });

  expect(answer).toMatchObject({ status: 422, attempts: 1, consistencyToken: 'enrollment:7' });
});
