import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { Code, ConnectError } from '@connectrpc/connect';
import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import { Command, InvalidArgumentError } from 'commander';
import type { Clients } from '#lib/clients';
import { BillingService } from '#proto/billing/v1/service';
import type { Term } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { readPlatform } from '../local/platform-record.ts';
import { connect } from './connect.ts';
import { dataOption } from './data-option.ts';
import { secondsSince } from './elapsed.ts';
import { type Fault, NoSchedule } from './schedule/fault.ts';
import { type ImportCounts, importSchedule } from './schedule/import.ts';
import { COURSES_FILE, type Place, SECTIONS_FILE } from './schedule/schedule.ts';
import { type TermWishes, termFrom } from './schedule/term.ts';
import { refundSteps, type TuitionWishes, tuitionFrom } from './schedule/tuition.ts';

const FAULTS_KEPT_MAX = 20_000;
const NEWLINE = 10;

interface ScheduleOptions extends TermWishes, TuitionWishes {
  term: string;
  data: string;
  dryRun: boolean;
  json: boolean;
  unlistedCredits?: number;
}

const schedule = new Command('schedule')
  .description("a term's courses and sections from a folder; docs/schedule-format.md describes it")
  .argument('<folder>', `folder with ${COURSES_FILE} and ${SECTIONS_FILE}`)
  .requiredOption('--term <id>', 'term to import into, for example FA24; a new one is made')
  .option('--dry-run', 'only show what would change', false)
  .option('--json', 'print one JSON object instead of text', false)
  .option(
    '--unlisted-credits <number>',
    `credits of courses that ${COURSES_FILE} lacks; without it they are faults`,
    whole,
  )
  .option('--tuition-per-credit <amount>', 'in minor units (cents); a new term costs nothing without it', whole)
  .option('--currency <code>', 'of the tuition; a new term has USD without it')
  .option(
    '--refund <date=percent>',
    'what a drop until that day gives back, for example 2024-10-04=100; may be given several times, and then replaces the schedule there is',
    refundSteps,
  )
  .option('--name <name>', 'of the term, for example "Fall 2024"')
  .option('--time-zone <name>', "IANA name of the campus's time zone; a new term has this machine's without it")
  .option('--starts-on <date>', 'first day of the term')
  .option('--ends-on <date>', 'last day of the term')
  .option('--credits-max <number>', 'most credits a student may take in the term', whole)
  .addOption(dataOption())
  .action(runImport);

export const command = new Command().addCommand(schedule);

async function runImport(folder: string, options: ScheduleOptions): Promise<void> {
  const startedAt = performance.now();
  const clients = await connect(readPlatform(options.data));
  try {
    const lines = {
      courses: await linesIn(join(folder, COURSES_FILE)),
      sections: await linesIn(join(folder, SECTIONS_FILE)),
    };
    const { term, isNew } = await prepareTerm(clients, options);
    const { counts, faults } = await importWithProgress(folder, { clients, term, lines, options });
    const seconds = secondsSince(startedAt);
    const report = { term: { ...term, isNew }, dryRun: options.dryRun, ...counts, faults, seconds };
    if (options.json) console.log(JSON.stringify(report, (key, value) => (key.startsWith('$') ? undefined : value), 2));
    else printReport(report);
  } finally {
    clients.close();
  }
}

/** Finds the term or thinks up the new one, and sees to its tuition: without a rate nobody could enroll in it. */
async function prepareTerm(clients: Clients, options: ScheduleOptions): Promise<{ term: Term; isNew: boolean }> {
  const catalog = clients.of(CatalogService, 'catalog');
  const { term: known } = await catalog.getTerm({ termId: options.term }).catch(nothingFound);
  const term = termFrom(options.term, options, known);
  const isNew = known === undefined;
  if (!options.dryRun) await prepareTuition(clients, term, options);
  return { term, isNew };
}

/** What staff have set stays, but for what is wished. */
async function prepareTuition(clients: Clients, term: Term, wishes: TuitionWishes): Promise<void> {
  const billing = clients.of(BillingService, 'billing');
  const { rate: known } = await billing.getTuitionRate({ termId: term.id }).catch(nothingFound);
  await billing.setTuitionRate({ rate: tuitionFrom(term, wishes, known) });
}

function nothingFound(failure: unknown): { term?: never; rate?: never } {
  if (failure instanceof ConnectError && failure.code === Code.NotFound) return {};
  throw failure;
}

interface Import {
  clients: Clients;
  term: Term;
  lines: { courses: number; sections: number };
  options: ScheduleOptions;
}

async function importWithProgress(folder: string, { clients, term, lines, options }: Import) {
  const bar = new SingleBar({
    format: '{bar} {percentage}% | {value}/{total} rows | {faults} faults | {duration} s',
    hideCursor: true,
    clearOnComplete: true,
  });
  const faults: Fault[] = [];
  let faultsCount = 0;
  if (!options.json) bar.start(lines.courses + lines.sections, 0, { faults: 0 });
  try {
    const counts = await importSchedule(folder, {
      catalog: clients.of(CatalogService, 'catalog'),
      term,
      dryRun: options.dryRun,
      ...(options.unlistedCredits !== undefined && { unlistedCredits: options.unlistedCredits }),
      onFault: (fault) => {
        faultsCount += 1;
        if (faults.length < FAULTS_KEPT_MAX) faults.push(fault);
      },
      onPlace: ({ file, line }: Place) => {
        bar.update(line + (file === SECTIONS_FILE ? lines.courses : 0), { faults: faultsCount });
      },
    });
    return { counts: { ...counts, faultsCount }, faults };
  } finally {
    bar.stop();
  }
}

interface Report extends ImportCounts {
  term: Term & { isNew: boolean };
  dryRun: boolean;
  faults: Fault[];
  faultsCount: number;
  seconds: number;
}

function printReport({ term, dryRun, courses, sections, faults, faultsCount, seconds }: Report): void {
  for (const { file, line, reason } of faults) console.log(`${file}:${line}: ${reason}`);
  if (faultsCount > faults.length) console.log(`… and ${faultsCount - faults.length} more faults`);
  const table = new Table({ head: ['', 'created', 'changed', 'unchanged'], style: { head: [], border: [] } });
  for (const [name, counts] of Object.entries({ courses, sections })) {
    table.push([name, counts.created, counts.changed, counts.unchanged]);
  }
  const what = `${term.isNew ? 'new term' : 'term'} ${term.id} (${term.name}, ${term.startsOn} to ${term.endsOn}, ${term.timeZone})`;
  console.log(`${table.toString()}\n${dryRun ? 'Would import into' : 'Imported into'} ${what} in ${seconds} s.`);
  console.log(`${faultsCount} rows were not taken${faultsCount > 0 ? ', see above' : ''}.`);
  if (dryRun) console.log('Nothing was changed: this was a dry run.');
}

/** @throws NoSchedule before anything is changed */
async function linesIn(file: string): Promise<number> {
  if (!existsSync(file)) throw new NoSchedule(`${file} is missing`);
  let lines = 0;
  for await (const chunk of createReadStream(file)) for (const byte of chunk) if (byte === NEWLINE) lines += 1;
  return lines;
}

function whole(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('write a whole number.');
}
