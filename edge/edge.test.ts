import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { addressVariable, readConfig, services as serviceNames } from '#lib/config';
import { eventually, tokenOf } from '#lib/testing';
import { type RunningEdge, startEdge } from './edge.ts';
import {
  PASSWORD,
  type PlatformUnderTest,
  publishSections,
  putAccount,
  startPlatform,
  untilReplicated,
} from './platform.testing.ts';

let platform: PlatformUnderTest;
let sectionId: string;

beforeAll(async () => {
  platform = await startPlatform();
  [sectionId = ''] = await publishSections(platform, [{}]);
});
afterAll(() => platform.stop());

/** The process as it runs, with identity's own keys; in this process. */
function start(): Promise<RunningEdge> {
  const addresses = serviceNames.map((name) => [addressVariable(name), platform.services.get(name)?.address ?? '']);
  const config = readConfig('edge', {
    ...Object.fromEntries(addresses),
    VIEWS_DATABASE_URL: String(platform.services.get('projector')?.parts.config.databaseUrl),
    SERVICE_KEY_FILE: inject('serviceKeyFile'),
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    LOG_LEVEL: 'silent',
  });
  return startEdge(config);
}

async function logIn(address: string): Promise<string> {
  const email = await putAccount(platform, `student-${randomUUID()}`, 'student');
  const answer = await fetch(`http://${address}/v1/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD }),
  });
  const { accessToken } = (await answer.json()) as { accessToken: string }; // as the contract says
  return accessToken;
}

function put(
  address: string,
  token: string,
  headers: Record<string, string> = {},
  wanted = sectionId,
): Promise<Response> {
  return fetch(`http://${address}/v1/registrations/${randomUUID()}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify({ adds: [{ sectionId: wanted }] }),
  });
}

test('a student logs in and registers over real HTTP', async () => {
  const edge = await start();
  try {
    const answer = await put(edge.address, await logIn(edge.address));

    expect(answer.status).toBe(202);
    const metrics = await (await fetch(`http://127.0.0.1:${edge.metricsPort}/metrics`)).text();
    expect(metrics).toMatch(/registrar_edge_batch_size_count [1-9]/);
    expect(metrics).toContain('method="PUT /v1/registrations/:id",code="202"');
  } finally {
    await edge.stop();
  }
});

test('an edge is on the list of servers, at the address where it listens', async () => {
  const edge = await start();
  try {
    const headers = { authorization: `Bearer ${await tokenOf('registrar', 'staff')}` };
    const answer = await fetch(`http://${edge.address}/v1/system/servers`, { headers });
    const { servers } = (await answer.json()) as { servers: object[] }; // as the contract says

    expect(servers).toContainEqual(expect.objectContaining({ service: 'edge', address: edge.address }));
  } finally {
    await edge.stop();
  }
});

test('a request that waits for an end is answered before the edge goes', async () => {
  const edge = await start();
  const token = await logIn(edge.address);
  const [wanted = ''] = await publishSections(platform, [{}]);
  let isAnswered = false;
  const waiting = put(edge.address, token, { prefer: 'wait=30' }, wanted).finally(() => {
    isAnswered = true;
  });
  await eventually(async () => (await seatsTaken(edge.address, wanted)) > 0 || isAnswered);

  await edge.stop();

  expect((await waiting).status).toBe(202);
  await expect(fetch(`http://${edge.address}/healthz`)).rejects.toThrow();
});

test('who watches a section sees its seats go, and goes on where the line broke', async () => {
  const edge = await start();
  try {
    const [watched = ''] = await publishSections(platform, [{}]);
    const url = `http://${edge.address}/v1/sections/stream?ids=${watched}`;
    const token = await logIn(edge.address);
    const first = await watch(url);
    const [before] = await first.next();

    await put(edge.address, token, {}, watched);
    const [after] = await first.next();
    await first.cancel();
    await untilReplicated(platform);
    const again = await watch(url, before?.id);
    const [resumed] = await again.next();
    await again.cancel();

    expect(before?.items).toMatchObject([{ id: watched, seatsTaken: 0, seatsLeft: 30 }]);
    expect(after?.items).toMatchObject([{ id: watched, seatsTaken: 1, seatsLeft: 29 }]);
    expect(resumed).toEqual(after && { ...after, items: resumed?.items });
    expect(resumed?.items).toMatchObject([{ id: watched, seatsTaken: 1 }]);
    expect((await fetch(`http://${edge.address}/v1/sections/stream`)).status).toBe(400);
    expect((await fetch(`http://${edge.address}/v1/sections/stream?ids=,`)).status).toBe(400);
  } finally {
    await edge.stop();
  }
});

test('people who watch do not keep the edge from ending', async () => {
  const edge = await start();
  const watching = await watch(`http://${edge.address}/v1/sections/stream?ids=${sectionId}`);
  await watching.next();

  await edge.stop();

  expect(await watching.next()).toEqual([]);
});

interface SeatsEvent {
  id: string;
  items: object[];
}

/** Reads server-sent events; `next` answers none when the stream has ended. */
async function watch(url: string, lastEventId?: string) {
  const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const answer = await fetch(url, { headers });
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const reader = (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  return {
    next: async (): Promise<SeatsEvent[]> => {
      for (;;) {
        const frame = /^event: seats\nid: (\d+)\ndata: (.+)\n\n/m.exec(text);
        if (frame) {
          text = text.slice(frame.index + frame[0].length);
          return [{ id: String(frame[1]), ...JSON.parse(String(frame[2])) }];
        }
        const { value, done } = await reader.read();
        if (done) return [];
        text += value;
      }
    },
    cancel: () => reader.cancel(),
  };
}

async function seatsTaken(address: string, id: string): Promise<number> {
  const section = (await (await fetch(`http://${address}/v1/sections/${id}`)).json()) as { seatsTaken: number };
  return section.seatsTaken;
}
