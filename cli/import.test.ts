import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type ServiceUnderTest, startForTest } from '#lib/testing';
import { BillingService } from '#proto/billing/v1/service';
import { CatalogService } from '#proto/catalog/v1/service';
import { EventLogService } from '#proto/eventlog/v1/service';
import { writePlatform } from '../local/platform-record.ts';
import { runningProcess } from '../local/running-process.ts';
import { billing } from '../services/billing/billing.ts';
import { catalog } from '../services/catalog/catalog.ts';

const registrar = join(import.meta.dirname, 'registrar.ts');
const fixtures = join(import.meta.dirname, 'schedule', 'fixtures');
const realFolder = join(import.meta.dirname, '../../shared/data/ucsd-fa24');
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const run = promisify(execFile);

let catalogService: ServiceUnderTest;
let billingService: ServiceUnderTest;
let folder: string;

beforeAll(async () => {
  catalogService = await startForTest(catalog);
  // Nothing is sold here, so billing needs no bookstore to follow.
  billingService = await startForTest(billing, { BOOKSTORE_ADDRESS: '127.0.0.1:9' });
  folder = await mkdtemp(join(tmpdir(), 'registrar-import-'));
  const supervisor = runningProcess(process.pid);
  if (!supervisor) throw new Error('this process runs');
  writePlatform({
    ...{ supervisor, dataFolder: folder, logFolder: folder, edgeUrl: '', paymentProviderUrl: '', temporalAddress: '' },
    ...{ primaryUrl: '', replicaUrls: [], databaseUrls: {}, signingKeyFile: '' },
    serviceKeyFile: inject('serviceKeyFile'),
    parts: [
      { name: 'catalog', number: 1, address: catalogService.address, metricsUrl: '' },
      { name: 'billing', number: 1, address: billingService.address, metricsUrl: '' },
    ],
  });
});
afterAll(async () => {
  await catalogService.stop();
  await billingService.stop();
  await rm(folder, { recursive: true });
});

/** Runs the command as its own process. */
async function runImport(from: string, ...options: string[]): Promise<string> {
  const all = [registrar, 'import', 'schedule', from, '--data', folder, ...options];
  const { stdout } = await run(process.execPath, all, { maxBuffer: OUTPUT_BYTES_MAX });
  return stdout;
}

async function importAsJson(from: string, ...options: string[]) {
  return JSON.parse(await runImport(from, '--json', ...options));
}

async function ratesSet(termId: string): Promise<string[]> {
  const { events } = await billingService.client(EventLogService).readEvents({ subject: termId });
  return events.map((event) => JSON.parse(event.json).rate.perCredit.amount ?? '0');
}

test('a dry run reports everything and changes nothing', async () => {
  const report = await importAsJson(fixtures, '--term', 'FA23', '--dry-run');
  expect(report).toMatchObject({ dryRun: true, courses: { created: 10 }, sections: { created: 7 }, faultsCount: 27 });
  const client = catalogService.client(CatalogService);
  await expect(client.getTerm({ termId: 'FA23' })).rejects.toThrow();
  await expect(client.getCourse({ courseId: 'HIST-101' })).rejects.toThrow();
  expect(await ratesSet('FA23')).toEqual([]);
});

test('an import makes the term with a tuition rate, takes every good row and names the others; the second one changes nothing', async () => {
  const first = await importAsJson(fixtures, '--term', 'FA24', '--time-zone', 'America/Los_Angeles');
  expect(first).toMatchObject({
    term: { id: 'FA24', isNew: true, name: 'Fall 2024', startsOn: '2024-08-15', timeZone: 'America/Los_Angeles' },
    courses: { created: 10, changed: 0, unchanged: 0 },
    sections: { created: 7, changed: 0, unchanged: 0 },
  });
  expect(first.faults[0]).toEqual({
    file: 'courses.tsv',
    line: 8,
    reason: 'units "2.5" is not a whole number of credits',
  });
  const stored = await catalogService.client(CatalogService).getSection({ sectionId: 'FA24-100001' });
  expect(stored).toMatchObject({ section: { capacity: 34 }, course: { code: 'HIST 101' } });

  const positionBefore = catalogService.parts.head.position;
  const second = await importAsJson(fixtures, '--term', 'FA24');
  expect(second).toMatchObject({
    term: { isNew: false, timeZone: 'America/Los_Angeles' },
    courses: { created: 0, changed: 0, unchanged: 10 },
    sections: { created: 0, changed: 0, unchanged: 7 },
    faults: first.faults,
  });
  expect(catalogService.parts.head.position).toBe(positionBefore);
  expect(await ratesSet('FA24')).toEqual(['0']);
});

test('a corrected folder changes what differs; a wish about the term and its tuition is heard', async () => {
  await importAsJson(fixtures, '--term', 'SP25');
  const corrected = join(folder, 'corrected');
  await cp(fixtures, corrected, { recursive: true });
  const sections = await readFile(join(fixtures, 'sections.tsv'), 'latin1');
  await writeFile(join(corrected, 'sections.tsv'), sections.replace('100001\t34', '100001\t40'), 'latin1');
  const wishes = ['--credits-max', '25', '--tuition-per-credit', '41200'];
  const report = await importAsJson(corrected, '--term', 'SP25', ...wishes);
  expect(report).toMatchObject({ term: { creditsMax: 25 }, sections: { created: 0, changed: 1, unchanged: 6 } });
  expect(await ratesSet('SP25')).toEqual(['0', '41200']);
});

test('what staff have set of a term’s tuition survives an import, but for what is wished', async () => {
  const client = billingService.client(BillingService);
  const rateOf = async () => (await client.getTuitionRate({ termId: 'FA26' })).rate;
  const firstRefunds = ['--refund', '2026-10-16=50', '--refund', '2026-10-02=100'];
  await importAsJson(fixtures, '--term', 'FA26', '--tuition-per-credit', '41200', '--currency', 'EUR', ...firstRefunds);
  const perCredit = { amount: 41_200n, currency: 'EUR' };
  const refunds = [
    { until: '2026-10-02', percent: 100 },
    { until: '2026-10-16', percent: 50 },
  ];
  expect(await rateOf()).toMatchObject({ perCredit, refunds });

  const rate = { termId: 'FA26', perCredit, refunds: [{ until: '2026-11-06', percent: 80 }], timeZone: 'Asia/Tokyo' };
  await client.setTuitionRate({ rate });
  await importAsJson(fixtures, '--term', 'FA26');
  expect(await rateOf()).toMatchObject(rate);
  await importAsJson(fixtures, '--term', 'FA26', '--tuition-per-credit', '50000');
  expect(await rateOf()).toMatchObject({ ...rate, perCredit: { amount: 50_000n, currency: 'EUR' } });
  await importAsJson(fixtures, '--term', 'FA26', '--refund', '2026-12-01=10');
  expect(await rateOf()).toMatchObject({ refunds: [{ until: '2026-12-01', percent: 10 }], timeZone: 'Asia/Tokyo' });
});

test('what the catalog itself refuses is reported by its line, and the rest of its batch is taken; a dry run says the same', async () => {
  const odd = join(folder, 'odd');
  await cp(fixtures, odd, { recursive: true });
  const title = 'x'.repeat(300);
  const courses = `course_number\tcourse_name\tunits\tdescription\nPHYS 1\tWaves\t4\t\nPHYS 2\t${title}\t4\t\n`;
  const header = 'subj_course_id\tsec_code\tsec_id\ttotal_seats\tmeetings\n';
  await writeFile(join(odd, 'courses.tsv'), courses);
  await writeFile(join(odd, 'sections.tsv'), `${header}PHYS 1\tA\t1\t5\t\nPHYS 2\tA\t2\t5\t\n`);
  for (const options of [['--dry-run'], []]) {
    const report = await importAsJson(odd, '--term', 'WI25', ...options);
    expect(report).toMatchObject({ courses: { created: 1 }, sections: { created: 1 }, faultsCount: 2 });
    expect(report.faults).toMatchObject([
      { file: 'courses.tsv', line: 3, reason: expect.stringContaining('title of course PHYS-2') },
      { file: 'sections.tsv', line: 3, reason: 'its course PHYS 2 was not taken, see courses.tsv line 3' },
    ]);
  }
});

test.skipIf(!existsSync(realFolder))(
  'a real schedule is taken over whole, and the second time nothing changes',
  async () => {
    const first = await importAsJson(realFolder, '--term', 'FA44');
    expect(first).toMatchObject({ courses: { unchanged: 0 }, sections: { created: 7_326 }, faultsCount: 1_586 });
    const second = await importAsJson(realFolder, '--term', 'FA44');
    expect(second).toMatchObject({
      courses: { created: 0, changed: 0, unchanged: 6_912 },
      sections: { created: 0, changed: 0, unchanged: 7_326 },
    });
  },
);

test('people read each fault as file, line and reason, and a closing summary', async () => {
  const text = await runImport(fixtures, '--term', 'FA27', '--dry-run');
  expect(text).toContain('sections.tsv:8: repeats sec_id 100001 of line 2\n');
  expect(text).toMatch(/sections │ 7 +│ 0/);
  expect(text).toContain('27 rows were not taken, see above.');
  expect(text).toContain('this was a dry run');
});

test.each([
  ['a folder that is none', ['nowhere', '--term', 'FA29'], 'courses.tsv is missing'],
  ['a term that tells no dates', [fixtures, '--term', 'TERM9'], 'say it with --starts-on and --ends-on'],
  ['a refund that is none', [fixtures, '--term', 'FA29', '--refund', 'soon'], 'write it as 2024-10-04=100.'],
  ['no term', [fixtures], "required option '--term <id>'"],
])('%s ends with one sentence that says what to do', async (_what, [from = '', ...options], sentence) => {
  const failure = await runImport(from, ...options).catch((error: { stderr: string; code: number }) => error);
  expect(failure).toMatchObject({ code: 1, stderr: expect.stringContaining(sentence) });
  await expect(catalogService.client(CatalogService).getTerm({ termId: 'FA29' })).rejects.toThrow();
});
