/** `registrar demo` and `registrar rebuild-views`, as their own processes, on services that run here. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, inject, test, vi } from 'vitest';
import { inheritedEnvironment, type PeerName, services } from '#lib/config';
import { eventually, freshServiceDatabase, type ServiceUnderTest, startForTest } from '#lib/testing';
import { loadCampus } from '../cli/campus/load.ts';
import type { Summary } from '../cli/demo/summary.ts';
import { startEdge, untilReplicated } from '../edge/platform.testing.ts';
import { writePlatform } from '../local/platform-record.ts';
import { runningProcess } from '../local/running-process.ts';
import { dumpOf } from '../views/history.testing.ts';
import { projector } from '../views/projector.ts';
import { type Campus, startCampus } from './campus.ts';
import { grpcurlBinary } from './platform/tools.ts';

vi.setConfig({ testTimeout: 240_000 });

const REGISTRAR = join(import.meta.dirname, '..', 'cli', 'registrar.ts');
const LOADED_TIMEOUT_MS = 120_000;
const STUDENTS = 24;

type DemoReport = Summary & { audit: { holds: boolean } };

let folder: string;
let edgeUrl: string;
let campus: Campus;
let projecting: ServiceUnderTest;
let first: DemoReport;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registrar-commands-'));
  const signingKeyFile = join(folder, 'signing-keys.jwk');
  await writeFile(signingKeyFile, JSON.stringify({ keys: [inject('accessKey')] }));
  campus = await startCampus({ environment: { SIGNING_KEY_FILE: signingKeyFile } });
  const viewsUrl = await freshServiceDatabase(projector);
  projecting = await startForTest(projector, { ...campus.environment, DATABASE_URL: viewsUrl });
  const edge = await startEdge({ ...campus.environment, VIEWS_DATABASE_URL: viewsUrl });
  edgeUrl = await edge.app.listen({ host: '127.0.0.1', port: 0 });
  describePlatform(signingKeyFile);
  await loadCampus(campus.clients);
  await untilAllIsKnown();
  return async () => {
    await edge.stop();
    await projecting.stop();
    await campus.stop();
    await rm(folder, { recursive: true, force: true });
  };
});

/** As the local platform leaves it for commands. */
function describePlatform(signingKeyFile: string): void {
  const supervisor = runningProcess(process.pid);
  if (!supervisor) throw new Error('this process runs');
  const running = [...Object.entries(campus.services), ['projector', projecting] as const];
  const urls = running.map(([name, { parts }]) => [name, parts.config.databaseUrl] as const);
  const { views, workflows } = { views: projecting, workflows: campus.services.starter };
  writePlatform({
    ...{ supervisor, dataFolder: folder, logFolder: folder, edgeUrl, signingKeyFile },
    ...{ temporalAddress: '', primaryUrl: '', replicaUrls: [] },
    paymentProviderUrl: campus.providerUrl,
    serviceKeyFile: inject('serviceKeyFile'),
    databaseUrls: {
      ...Object.fromEntries(urls),
      views: views.parts.config.databaseUrl,
      workflows: workflows?.parts.config.databaseUrl ?? '',
    },
    parts: running.map(([name, { address }]) => ({ name: name as PeerName, number: 1, address, metricsUrl: '' })),
  });
}

/** Every log's end is in the views, and what enrollment needs to know is there. */
async function untilAllIsKnown(): Promise<void> {
  const [catalog] = await campus.rows<{ position: string }>('catalog', 'select position from event_head');
  const isKnown = async () => {
    const [followed] = await campus.rows<{ position: string }>(
      'enrollment',
      "select position from checkpoints where source = 'catalog'",
    );
    return followed?.position === catalog?.position && (await viewsReachedHeads());
  };
  await eventually(isKnown, { what: 'the demo campus being known everywhere', timeoutMs: LOADED_TIMEOUT_MS });
}

async function viewsReachedHeads(): Promise<boolean> {
  const { query } = projecting.parts.database;
  const rows = await query<{ source: string; position: string }>('select source, position from checkpoints');
  const reached = new Map(rows.map(({ source, position }) => [source, position]));
  for (const name of services) {
    const [head] = await campus.rows<{ position: string }>(name, 'select position from event_head');
    if (reached.get(name) !== head?.position) return false;
  }
  return true;
}

/** Once this file is there: every registration has ended, and every replica shows it. */
async function untilAllIsShown(file: string): Promise<void> {
  const isShown = async () => {
    if (!existsSync(file)) return false;
    const pending = await campus.rows('enrollment', "select from registrations where status = 'pending'");
    return pending.length === 0 && (await viewsReachedHeads());
  };
  await eventually(isShown, { what: 'every registration being shown', timeoutMs: LOADED_TIMEOUT_MS });
  await untilReplicated({ services: new Map([['projector', projecting]]) });
}

/** @returns what it printed, and how it ended. */
function registrar(...options: string[]): Promise<{ printed: string; exitCode: number }> {
  return new Promise((resolve) => {
    const all = [REGISTRAR, ...options, '--data', folder];
    execFile(process.execPath, all, { maxBuffer: 2 ** 24 }, (failure, stdout, stderr) => {
      resolve({ printed: stdout + stderr, exitCode: failure ? Number(failure.code) : 0 });
    });
  });
}

async function demo(...options: string[]): Promise<DemoReport> {
  const { printed, exitCode } = await registrar('demo', '--students', String(STUDENTS), '--json', ...options);
  expect(exitCode, printed).toBe(0);
  return JSON.parse(printed);
}

async function liveEnrollments(): Promise<number> {
  const [row] = await campus.rows<{ count: number }>(
    'enrollment',
    "select count(*)::int as count from enrollments where status in ('reserved', 'enrolled', 'waitlisted')",
  );
  return row?.count ?? Number.NaN;
}

/** The README's blocks that begin with one of these lines, as one script, for the edge of this campus. */
async function tourOf(...firstLines: string[]): Promise<string> {
  const readme = await readFile(join(import.meta.dirname, '..', 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  const chosen = firstLines.map(
    (line) => blocks.find((block) => block.startsWith(line)) ?? `exit 9 # no block ${line}`,
  );
  return chosen.join('\n').replaceAll('http://127.0.0.1:8080', edgeUrl).replaceAll('.registrar/', `${folder}/`);
}

test('the demo lets students register, waits for the end, and tells of each what became of it', async () => {
  first = await demo();

  const { asked, completed, undone, refused, pending } = first.registrations;
  expect({ asked, ended: completed + undone + refused, pending }).toEqual({
    asked: STUDENTS,
    ended: STUDENTS,
    pending: 0,
  });
  expect(completed).toBeGreaterThan(0);
  const { items, latency } = first;
  expect(items.enrolled + items.waitlisted + items.refused + items.released).toBe(items.asked);
  expect(items.enrolled + items.waitlisted).toBe(await liveEnrollments());
  expect(latency.answered.count).toBe(STUDENTS);
  expect(first.audit.holds).toBe(true);
});

test('a second demo tells that students are enrolled already, and enrolls nobody twice', async () => {
  const second = await demo();

  expect(second.items.refusedByReason['already-enrolled']).toBeGreaterThan(0);
  expect(second.items.enrolled).toBeLessThan(first.items.enrolled);
  const had = first.items.enrolled + first.items.waitlisted;
  expect(had + second.items.enrolled + second.items.waitlisted).toBe(await liveEnrollments());
  expect(second.audit.holds).toBe(true);
});

test('views that are rebuilt are what they were, row by row', async () => {
  const { query } = projecting.parts.database;
  await eventually(viewsReachedHeads, { what: 'the views having reached the logs', timeoutMs: LOADED_TIMEOUT_MS });
  const before = await dumpOf(query);
  for (const [table, rows] of Object.entries(before)) expect(rows, table).not.toEqual([]);
  await query("update sections set code = 'damaged'");
  await query('delete from registrations');
  await query('delete from account_entries');

  const { printed, exitCode } = await registrar('rebuild-views', '--json');

  expect(exitCode, printed).toBe(0);
  // The command waits for the end itself.
  const after = await dumpOf(query);
  for (const [table, rows] of Object.entries(before)) expect(after[table], table).toEqual(rows);
  const { events } = JSON.parse(printed);
  expect(Object.keys(events).sort()).toEqual([...services].sort());
});

test('where the auditor finds something broken, the demo says so and fails', async () => {
  await campus.rows(
    'enrollment',
    'update sections set taken = taken + 1 where id = (select min(id) from sections where taken < capacity)',
  );

  const { printed, exitCode } = await registrar('demo', '--students', '2');

  expect(printed).toMatch(/2 registrations/);
  expect(printed).toMatch(/I1.* broken/);
  expect(exitCode).toBe(1);
});

// Its other blocks are the commands above, and a kill as cli/start.test.ts does it.
test('the README’s tour does what it says when it is pasted', async () => {
  const grpcurl = await grpcurlBinary();
  const hasGrpcurl = 'path' in grpcurl;
  const script = await tourOf('EDGE=', 'ID=', 'sleep 2\ncurl', 'OTHER=', ...(hasGrpcurl ? ['ENROLLMENT='] : []));
  const { PATH = '' } = inheritedEnvironment();
  const env = { ...inheritedEnvironment(), PATH: hasGrpcurl ? [dirname(grpcurl.path), PATH].join(delimiter) : PATH };
  // The tour's reader waits two seconds for the saga; a busy machine may need more, and so may a replica.
  const [asked, shown] = [join(folder, 'asked'), join(folder, 'shown')];
  const patient = script.replace('sleep 2', `touch ${asked}; until [ -e ${shown} ]; do sleep 0.2; done`);
  // Students whom the demo has not enrolled before.
  const touring = promisify(execFile)('bash', ['-euc', patient.replaceAll('student-00', 'student-40')], { env });
  const showing = untilAllIsShown(asked).then(() => writeFile(shown, ''));
  const [{ stdout }] = await Promise.all([touring, showing]);

  expect(stdout).toContain('Introduction to Programming');
  expect(stdout).toContain('"reason":"time-conflict"');
  expect(stdout).toContain('"status":"completed"');
  expect(stdout).toContain('"kind":"tuition"');
  expect(stdout).toContain('"reason":"payment-declined"');
  if (!hasGrpcurl) return;
  expect(stdout).toMatch(/^registrar\.enrollment\.v1\.EnrollmentService$/m);
  expect(stdout).toContain('"status": "REGISTRATION_STATUS_COMPLETED"');
});
