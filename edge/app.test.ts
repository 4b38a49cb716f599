import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { services } from '#lib/config';
import { eventually } from '#lib/testing';
import { type Person, type PlatformUnderTest, startEdge, startPlatform } from './platform.testing.ts';

const ORIGIN = 'https://register.campus.example';

let platform: PlatformUnderTest;

beforeAll(async () => {
  platform = await startPlatform({ CORS_ORIGINS: ORIGIN });
});
afterAll(() => platform.stop());

const staff: Person = { id: 'registrar', roles: ['staff'] };
const student: Person = { id: 'anna', roles: ['student'] };

interface Operation {
  operationId: string;
  summary: string;
  tags: string[];
  responses: Record<string, { description: string; content?: Record<string, { schema: { $ref: string } }> }>;
  security?: object[];
  requestBody?: object;
  parameters?: { name: string; in: string }[];
}

interface Description {
  openapi: string;
  info: { title: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> };
}

async function description(): Promise<Description> {
  return (await platform.ask({ url: '/openapi.json' })).json();
}

async function operations(): Promise<{ path: string; method: string; operation: Operation }[]> {
  const { paths } = await description();
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
}

test('the description is OpenAPI 3.1, and everything it refers to is in it', async () => {
  const { openapi, components, ...rest } = await description();

  expect(openapi).toBe('3.1.0');
  const references = [...JSON.stringify({ components, ...rest }).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref);
  const known = Object.keys(components.schemas).map((name) => `#/components/schemas/${name}`);
  expect(references.length).toBeGreaterThan(50);
  expect([...new Set(references)].filter((ref) => !known.includes(String(ref)))).toEqual([]);
  expect(Object.keys(components.schemas)).toEqual(
    expect.arrayContaining(['Problem', 'Registration', 'Section', 'Session', 'Material', 'Saga', 'Money']),
  );
});

test('every route says what it is and states every status it can answer', async () => {
  const all = await operations();
  expect(new Set(all.map(({ operation }) => operation.operationId)).size).toBe(all.length);
  for (const { path, method, operation } of all) {
    const route = `${method} ${path}`;
    expect([route, operation.summary.length > 0, operation.tags.length]).toEqual([route, true, 1]);
    const declared = (operation.parameters ?? [])
      .filter((parameter) => parameter.in === 'path')
      .map(({ name }) => name);
    expect([route, declared]).toEqual([route, [...path.matchAll(/{(\w+)}/g)].map(([, name]) => name)]);
    const statuses = Object.keys(operation.responses);
    expect(statuses.some((status) => status.startsWith('2'))).toBe(true);
    if (!path.startsWith('/v1')) continue;
    const needed = ['400', '429', '500', '503', ...(operation.security ? ['401'] : [])];
    expect([route, statuses]).toEqual([route, expect.arrayContaining(needed)]);
    if (operation.requestBody) expect([route, statuses]).toEqual([route, expect.arrayContaining(['413', '415'])]);
    for (const status of statuses.filter((code) => Number(code) >= 400)) {
      const problem = operation.responses[status]?.content?.['application/problem+json'];
      expect([route, status, problem?.schema.$ref]).toEqual([route, status, '#/components/schemas/Problem']);
    }
  }
});

test('every route that is not public refuses who is not logged in, before it looks at what they send', async () => {
  const guarded = (await operations()).filter(({ operation }) => operation.security);
  expect(guarded.length).toBeGreaterThan(15);
  for (const { path, method } of guarded) {
    const url = path.replace(/{\w+}/g, 'anything');
    const answer = await platform.app.inject({ method: method as 'GET', url, payload: method === 'get' ? '' : '{' });
    expect([method, path, answer.statusCode]).toEqual([method, path, 401]);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  }
});

test('the description can be read in a browser, within a policy of its own', async () => {
  const root = await platform.ask({ url: '/' });
  const page = await platform.ask({ url: '/docs/' });

  expect(root.statusCode).toBe(302);
  expect(root.headers.location).toBe('/docs');
  expect((await platform.ask({ url: '/docs' })).statusCode).toBeLessThan(400);
  expect(page.statusCode).toBe(200);
  expect(page.headers['content-security-policy']).toContain("script-src 'self'");
  const scripts = [...page.body.matchAll(/src="([^"]+)"/g)].map(([, src]) => new URL(String(src), 'http://edge/docs/'));
  expect(scripts.length).toBeGreaterThan(1);
  for (const { pathname } of scripts) expect((await platform.ask({ url: pathname })).statusCode).toBe(200);
  expect(page.body).not.toMatch(/<script>[^<]/);
});

test('every answer forbids browsers what it does not need', async () => {
  for (const url of ['/v1/terms', '/nothing-here']) {
    const { headers } = await platform.ask({ url });
    expect(headers).toMatchObject({
      'content-security-policy': "default-src 'none';frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    });
    expect(headers).toHaveProperty('strict-transport-security');
    expect(headers).not.toHaveProperty('x-powered-by');
  }
});

test('only origins on the list may call from a browser', async () => {
  const preflight = (origin: string) =>
    platform.app.inject({
      method: 'OPTIONS',
      url: `/v1/registrations/${randomUUID()}`,
      headers: { origin, 'access-control-request-method': 'PUT' },
    });

  const ours = await preflight(ORIGIN);
  const other = await preflight('https://evil.example');

  expect(ours.headers['access-control-allow-origin']).toBe(ORIGIN);
  expect(ours.headers['access-control-allow-methods']).toContain('PUT');
  expect(other.headers['access-control-allow-origin']).not.toBe('https://evil.example');
  const read = await platform.ask({ url: '/v1/terms', headers: { origin: ORIGIN } });
  expect(read.headers['access-control-expose-headers']).toContain('consistency-token');
});

test('a request’s trace goes on through the edge, and a problem names it', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };

  const answer = await platform.ask({ url: '/v1/sections/none', headers });
  const malformed = await platform.ask({ url: '/v1/sections/none', headers: { traceparent: 'nonsense' } });

  expect(answer.headers.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-[0-9a-f]{2}$`));
  expect(answer.json()).toMatchObject({ status: 404, code: 'not-found', traceId });
  expect(malformed.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-\d\d$/);
});

test('what no route takes is a problem too', async () => {
  const unknown = await platform.ask({ url: '/v1/nothing' });
  const bare = (payload: string, type: string) =>
    platform.app.inject({ method: 'POST', url: '/v1/sessions', payload, headers: { 'content-type': type } });
  const tooLarge = await bare(JSON.stringify({ email: 'x'.repeat(70_000) }), 'application/json');
  const notJson = await bare('<session/>', 'application/xml');
  const broken = await bare('{"email":', 'application/json');
  const poisoned = await bare('{"__proto__":{"admin":true},"email":"a@b.c","password":"x"}', 'application/json');

  expect([unknown, tooLarge, notJson, broken, poisoned].map((answer) => answer.statusCode)).toEqual([
    404, 413, 415, 400, 400,
  ]);
  for (const answer of [unknown, tooLarge, notJson, broken, poisoned]) {
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(Object.keys(answer.json())).toEqual(
      expect.arrayContaining(['type', 'title', 'status', 'detail', 'code', 'traceId']),
    );
    expect(answer.body).not.toMatch(/\.ts|node_modules|at \w+ \(/);
  }
});

test('it is alive, and ready with every dependency named', async () => {
  expect((await platform.ask({ url: '/healthz' })).json()).toEqual({ status: 'ok' });
  // Each dependency has a second to answer; a busy machine may need more than one look.
  const isReady = async () => {
    const answer = await platform.ask({ url: '/readyz' });
    return answer.json().status === 'ready' && answer;
  };
  const ready = await eventually(isReady, { what: 'everything being up' });
  expect(ready.statusCode).toBe(200);
  expect(ready.json().dependencies.map(({ name }: { name: string }) => name)).toEqual([
    ...services,
    ...['projector', 'views', 'temporal'],
  ]);
});

test('staff see every instance with its address, the databases and Temporal', async () => {
  // Each one has a second to answer; a busy machine may need more than one look.
  const allServe = async () => {
    const told = (await platform.ask({ url: '/v1/system/servers', as: staff })).json();
    const states = [...told.servers, ...told.databases, told.temporal].map(({ state }: { state: string }) => state);
    return states.every((state) => state === 'serving') && told;
  };
  const { servers, databases, temporal } = await eventually(allServe, { what: 'everything serving' });
  for (const [service, { address }] of platform.services) {
    expect(servers).toContainEqual(
      expect.objectContaining({
        service,
        address,
        state: 'serving',
        since: expect.any(String),
        load: expect.any(Number),
      }),
    );
  }
  const edge = { service: 'edge', address: expect.stringMatching(/^127\.0\.0\.1:\d+$/), state: 'serving' };
  expect(servers).toContainEqual({ ...edge, since: expect.any(String), load: expect.any(Number) });
  expect(databases[0]).toMatchObject({ role: 'primary', state: 'serving', address: expect.stringMatching(/:\d+$/) });
  expect(temporal).toMatchObject({ state: 'serving' });
  expect((await platform.ask({ url: '/v1/system/servers', as: student })).statusCode).toBe(403);
});

test('who asks too often is told to wait: by account, and without one by address', async () => {
  const edge = await startEdge({
    VIEWS_DATABASE_URL: String(platform.services.get('projector')?.parts.config.databaseUrl),
    RATE_PER_ACCOUNT_PER_MINUTE: '3',
    RATE_PER_ADDRESS_PER_MINUTE: '2',
  });
  try {
    const statuses = async (as?: Person) => {
      const answers = [];
      for (let ask = 0; ask < 4; ask++) answers.push(await edge.ask({ url: '/v1/terms', ...(as && { as }) }));
      return answers.map((answer) => answer.statusCode);
    };

    expect(await statuses(student)).toEqual([200, 200, 200, 429]);
    expect(await statuses(staff)).toEqual([200, 200, 200, 429]);
    expect(await statuses()).toEqual([200, 200, 429, 429]);
    const limited = await edge.ask({ url: '/v1/terms' });
    expect(limited.json()).toMatchObject({ status: 429, code: 'too-many-requests' });
    expect(Number(limited.headers['retry-after'])).toBeGreaterThan(0);
    expect((await edge.ask({ url: '/healthz' })).statusCode).toBe(200);
  } finally {
    await edge.stop();
  }
});

test('with all databases of the views away reads fail by name', async () => {
  // On the replicas, too, nobody has a database of that name.
  const edge = await startEdge({ VIEWS_DATABASE_URL: 'postgres://nobody@127.0.0.1:9/nowhere' });
  try {
    const answer = await edge.ask({ url: '/v1/terms' });
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'views-unavailable' });
  } finally {
    await edge.stop();
  }
});
