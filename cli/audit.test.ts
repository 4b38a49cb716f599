import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { inheritedEnvironment } from '#lib/config';
import { createLogger } from '#lib/log';
import { eventually } from '#lib/testing';
import { writePlatform } from '../local/platform-record.ts';
import { runningProcess } from '../local/running-process.ts';
import { startAuditor } from './audit/auditor.ts';
import { type History, makeHistory } from './audit/history.testing.ts';

const program = join(import.meta.dirname, 'registrar.ts');
const WRONG_COUNTER = 'update sections set taken = taken + 1 where taken = 0';

let history: History;
let dataFolder: string;

beforeAll(async () => {
  history = await makeHistory();
  dataFolder = mkdtempSync(join(tmpdir(), 'audit-test-'));
});
afterAll(async () => {
  rmSync(dataFolder, { recursive: true, force: true });
  await history.stop();
});

async function registrarAudit(...options: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [program, 'audit', ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: child.exitCode, out, err };
}

/** Leaves a record as a running platform does, with this process as its supervisor. */
function record(urls: History['urls']): void {
  const supervisor = runningProcess(process.pid);
  if (!supervisor) throw new Error('this process is not running');
  const databaseUrls = Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, url ?? '']));
  const { providerUrl: paymentProviderUrl } = history;
  const nothing = { logFolder: '', edgeUrl: '', temporalAddress: '', primaryUrl: '', replicaUrls: [], parts: [] };
  const keys = { serviceKeyFile: '', signingKeyFile: '' };
  writePlatform({ supervisor, dataFolder, paymentProviderUrl, databaseUrls, ...nothing, ...keys });
}

test('a platform that holds everything is audited with a table and the exit code 0', async () => {
  record(history.urls);

  const { code, out, err } = await registrarAudit('--data', dataFolder);

  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toMatch(/│ I11 +│/);
  expect(out).toMatch(/^Everything holds \(audited in .+ s\)\.$/m);
});

test('a breach is told with what breaks it, and the exit code is 1', async () => {
  record(await history.urlsAfter({ enrollment: WRONG_COUNTER }));

  const { code, out } = await registrarAudit('--data', dataFolder);

  expect(code).toBe(1);
  expect(out).toMatch(/^I1 {2}T1-\d+: it counts 1 seats as taken, and 0 are live$/m);
  expect(out).toMatch(/^I1 is broken/m);
});

test('a script reads the same as JSON', async () => {
  record(await history.urlsAfter({ enrollment: WRONG_COUNTER }));

  const { code, out } = await registrarAudit('--data', dataFolder, '--json');

  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    holds: false,
    findings: expect.arrayContaining([expect.objectContaining({ invariant: 'I1', breaches: 1 })]),
  });
});

test('where no platform runs it says so in one sentence, and the exit code is 2', async () => {
  const { code, out, err } = await registrarAudit('--data', join(dataFolder, 'nothing'));

  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^No platform runs on .+\n$/);
});

test('a platform whose database is away cannot be audited: the exit code is 2', async () => {
  record({ ...history.urls, enrollment: 'postgres://nobody@127.0.0.1:9/enrollment' });

  const { code, err } = await registrarAudit('--data', dataFolder);

  expect(code).toBe(2);
  expect(err).toMatch(/^The database enrollment cannot be audited .+\n$/);
});

test('a wrong option is no breach: the exit code is 2', async () => {
  expect(await registrarAudit('--unknown')).toMatchObject({ code: 2 });
  expect(await registrarAudit('--help')).toMatchObject({ code: 0 });
});

async function metricsAt(port: number): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  return answer.text();
}

test('the auditor tells by metrics what its last audit found', { timeout: 300_000 }, async () => {
  const { urls, providerUrl } = history;
  let current = urls;
  const auditor = await startAuditor({
    databaseUrl: (name) => current[name],
    providerUrl,
    intervalSeconds: 0,
    metricsPort: 0,
    logger: createLogger('auditor', 'silent'),
  });
  onTestFinished(() => auditor.stop());
  const eventuallyTells = (line: RegExp) =>
    eventually(async () => line.test(await metricsAt(auditor.metricsPort)), { what: String(line), timeoutMs: 120_000 });

  await eventuallyTells(/^registrar_audit_breaches\{invariant="I1"\} 0$/m);
  await eventuallyTells(/^registrar_audit_last_success_timestamp [1-9]\d+$/m);
  current = await history.urlsAfter({ enrollment: WRONG_COUNTER });
  await eventuallyTells(/^registrar_audit_breaches\{invariant="I1"\} 1$/m);
  await eventuallyTells(/^registrar_audit_breaches\{invariant="I2"\} 0$/m);
});

function startLoop(environment: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [program, 'audit', '--loop'], {
    env: { ...inheritedEnvironment(), ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

const unreachable = {
  AUDIT_DATABASE_URL: 'postgres://nobody@127.0.0.1:9/postgres',
  PAYMENT_PROVIDER_URL: 'http://127.0.0.1:9',
  AUDIT_INTERVAL_SECONDS: '0',
};

test('the auditor goes on while the databases are away, and ends on SIGTERM', async () => {
  const child = startLoop(unreachable);
  const [{ ready }] = await once(child, 'message');
  expect(await metricsAt(Number(ready.split(':')[1]))).toMatch(/^registrar_audit_last_success_timestamp 0$/m);
  let log = '';
  child.stdout?.on('data', (chunk) => {
    log += chunk;
  });

  await eventually(() => log.split('the audit could not run').length > 2, { what: 'two audits that could not run' });
  child.kill('SIGTERM');

  expect((await once(child, 'exit'))[0]).toBe(0);
});

test('the auditor ends when its supervisor is gone', async () => {
  const child = startLoop(unreachable);
  await once(child, 'message');

  child.disconnect();

  expect((await once(child, 'exit'))[0]).toBe(0);
});

test('an auditor that is not told where to look does not start', async () => {
  const child = startLoop({ AUDIT_INTERVAL_SECONDS: '60' });

  expect((await once(child, 'exit'))[0]).toBe(78);
});
