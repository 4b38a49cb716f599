import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { eventually, freshServiceDatabase } from '#lib/testing';
import { projector } from '../views/projector.ts';
import { startEdge } from './platform.testing.ts';

const PROBLEM = {
  'content-type': 'application/problem+json',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
};

let viewsUrl: string;
let edge: Awaited<ReturnType<typeof startEdge>>;
let port: number;

beforeAll(async () => {
  viewsUrl = await freshServiceDatabase(projector);
});
beforeEach(async () => {
  edge = await startEdge({ VIEWS_DATABASE_URL: viewsUrl });
  port = Number(new URL(await edge.app.listen({ host: '127.0.0.1', port: 0 })).port);
  return () => edge.stop();
});

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** A connection to which anything can be written. */
async function dial(): Promise<{ socket: Socket; received(): string; ended: Promise<void> }> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  // A reset after the answer is how the edge turns its back.
  socket.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await new Promise((resolve) => socket.once('connect', resolve));
  return { socket, received: () => text, ended };
}

async function answerTo(bytes: string): Promise<Answer> {
  const { socket, received, ended } = await dial();
  socket.write(bytes);
  await ended;
  return parse(received());
}

function parse(text: string): Answer {
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const [status = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.split(': ')[0]?.toLowerCase(), line.replace(/^[^:]+: /, '')]),
  );
  return { status: Number(status.split(' ')[1]), headers, body };
}

test.each([
  ['an escape that stands for nothing', '/v1/sections/%zz'],
  ['an id that is longer than any', `/v1/sections/${'x'.repeat(400)}`],
])('%s in a URL is a problem with the headers of every answer', async (_what, url) => {
  const answer = await edge.app.inject({ url });

  expect(answer.statusCode).toBe(400);
  expect(answer.headers).toMatchObject({
    ...PROBLEM,
    'content-type': expect.stringContaining('application/problem+json'),
  });
  expect(answer.json()).toMatchObject({ status: 400, code: 'malformed-request', title: 'Malformed request' });
});

test.each([
  ['what is not HTTP', 'garbage\r\n\r\n', 400, 'malformed-request'],
  [
    'headers beyond all measure',
    `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`,
    431,
    'headers-too-large',
  ],
])('%s is answered with a problem before the connection ends', async (_what, bytes, status, code) => {
  const answer = await answerTo(bytes);

  expect(answer).toMatchObject({ status, headers: { ...PROBLEM, connection: 'close' } });
  expect(JSON.parse(answer.body)).toMatchObject({ type: `/problems/${code}`, status, code });
});

test('a request that comes on an open connection while the edge ends is still answered', async () => {
  const { socket, received, ended } = await dial();
  const body = '{"email":"nobody';
  const rest = '@campus.example"}';
  const length = body.length + rest.length;
  const head = `POST /v1/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}`;
  const arrived = once(edge.app.server, 'request');
  socket.write(`${head}\r\n\r\n${body}`);
  await arrived;

  const stopping = edge.app.close();
  await eventually(() => !edge.app.server.listening);
  socket.write(`${rest}GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n`);
  await Promise.all([ended, stopping]);

  const [first, second] = received().split(/(?=HTTP\/1\.1 )/);
  expect(parse(first ?? '')).toMatchObject({ status: 400 });
  expect(parse(second ?? '')).toMatchObject({ status: 200, body: '{"status":"ok"}', headers: { connection: 'close' } });
});
