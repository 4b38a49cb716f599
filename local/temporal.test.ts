import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { inheritedEnvironment } from '#lib/config';
import { eventually } from '#lib/testing';
import { PlatformError } from './failure.ts';
import { startTemporal, type Temporal } from './temporal.ts';
import { findTemporal } from './temporal-binary.ts';

let folder: string;
let server: Temporal | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'registrar-temporal-'));
});

afterEach(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true });
});

async function withClient<T>(address: string, body: (client: Client) => Promise<T>, namespace = 'default'): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await body(new Client({ connection, namespace }));
  } finally {
    await connection.close();
  }
}

const HEARD_TIMEOUT_MS = 60_000;
const run = promisify(execFile);

const studentId = defineSearchAttributeKey('StudentId', 'KEYWORD');

function startEnroll(client: Client): Promise<unknown> {
  return client.workflow.start('enroll', {
    taskQueue: 'nobody',
    workflowId: 'enroll/1',
    typedSearchAttributes: [{ key: studentId, value: 'student-001' }],
  });
}

test('a workflow outlives a killed server and a second start, and is found by its student', async () => {
  server = await startTemporal({ folder });
  await withClient(server.address, startEnroll);
  server.server?.signal('SIGKILL');
  await server.stop();

  server = await startTemporal({ folder });

  // What the killed server had not listed yet, the second one lists a moment after its start.
  await withClient(server.address, async (client) => {
    const list = () => Array.fromAsync(client.workflow.list({ query: 'StudentId = "student-001"' }));
    const found = await eventually(async () => (await list()).map((one) => one.workflowId).join(), {
      what: 'the workflow of the student',
      timeoutMs: HEARD_TIMEOUT_MS,
    });
    expect(found).toBe('enroll/1');
  });
});

test('the Web UI answers', async () => {
  server = await startTemporal({ folder });

  const response = await fetch(`${server.uiUrl}/`);

  expect(response.status).toBe(200);
  expect(await response.text()).toContain('<html');
});

test('a server that runs already is used, and left running', async () => {
  const address = inject('temporalAddress');

  const theirs = await startTemporal({ folder, address });
  expect(theirs).toMatchObject({ address, server: undefined });
  await theirs.stop();

  await withClient(address, (client) => client.workflowService.getSystemInfo({}));
});

test('a server of somebody else learns what sagas are found by', { timeout: 3 * HEARD_TIMEOUT_MS }, async () => {
  const [address, namespace] = [inject('temporalAddress'), `theirs-${randomUUID()}`];
  const temporal = await findTemporal({ environment: inheritedEnvironment() });
  await run(temporal, ['operator', 'namespace', 'create', '--address', address, '--namespace', namespace]);
  const start = () =>
    withClient(address, startEnroll, namespace).then(
      () => 'started',
      ({ cause }: Error) => String(cause),
    );
  // The server hears of a new namespace some seconds later, and of its search attributes again.
  await eventually(async () => /StudentId/.test(await start()), { what: 'being refused', timeoutMs: HEARD_TIMEOUT_MS });

  const prepare = () => startTemporal({ folder, address, namespace });
  await prepare();
  await prepare();

  await eventually(async () => (await start()) === 'started', { what: 'their saga', timeoutMs: HEARD_TIMEOUT_MS });
});

test('a server that cannot learn them is refused with the command that teaches it', async () => {
  await expect(startTemporal({ folder, address: inject('temporalAddress'), namespace: 'nobodys' })).rejects.toThrow(
    /does not take the search attributes of sagas \(.*nobodys.*\): run temporal operator search-attribute create --namespace nobodys --name StudentId/,
  );
});

test('an address where no server answers is refused in one sentence', async () => {
  await expect(startTemporal({ folder, address: '127.0.0.1:9' })).rejects.toThrow(
    'No Temporal server answers at 127.0.0.1:9: start it, or unset TEMPORAL_ADDRESS.',
  );
});

test('without Temporal, a download and Go, one sentence says what to do', async () => {
  const search = { environment: { PATH: folder, XDG_CACHE_HOME: folder }, downloadSite: 'http://127.0.0.1:9' };

  const failure = await startTemporal({ folder, ...search }).catch((error: unknown) => error);

  expect(failure).toBeInstanceOf(PlatformError);
  expect(String(failure)).toMatch(/Temporal is missing: .* Install Go .* start again\.$/);
});
