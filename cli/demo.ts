import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import { PlatformError } from '../local/failure.ts';
import { type PlatformRecord, readPlatform } from '../local/platform-record.ts';
import { audit } from './audit/audit.ts';
import type { Finding } from './audit/finding.ts';
import { auditTable } from './audit/table.ts';
import { students } from './campus/people.ts';
import { term } from './campus/term.ts';
import { dataOption } from './data-option.ts';
import { Edge } from './demo/edge.ts';
import { type Attempt, logInAll, readSections, registerAll, type Tell, untilEnded } from './demo/opening-morning.ts';
import { randomFrom } from './demo/random.ts';
import { type Summary, summaryOf } from './demo/summary.ts';
import { summaryText } from './demo/summary-text.ts';
import { nextWish, tasteOf } from './demo/wish.ts';
import { secondsSince } from './elapsed.ts';
import { paced } from './paced.ts';
import { Progress } from './progress.ts';

/** The auditor leaves alone what ended within the last two seconds. */
const SETTLED_AFTER_MS = 3_000;
const FAILED_EXIT_CODE = 1;

interface DemoOptions {
  students: number;
  seed: number;
  json: boolean;
  data: string;
}

export const command = new Command()
  .option('--students <number>', 'how many of the demo campus register', wholeFrom(1, students.length), 200)
  .option('--seed <number>', 'of who wishes for what; the same seed, the same wishes', wholeFrom(0, 2 ** 31), 1)
  .option('--json', 'print one JSON object instead of text', false)
  .addOption(dataOption())
  .addHelpText('after', '\nExits with 1 where the auditor finds something broken, or a registration does not end.')
  .action(demo);

async function demo(options: DemoOptions): Promise<void> {
  const platform = readPlatform(options.data);
  const progress = new Progress();
  const tell = options.json ? () => undefined : paced((line) => progress.show(line));
  const summary = summaryOf(await morningOf(platform, options, tell));
  tell('auditing');
  await sleep(SETTLED_AFTER_MS);
  const startedAt = performance.now();
  const findings = await audit({
    databaseUrl: (name) => platform.databaseUrls[name],
    providerUrl: platform.paymentProviderUrl,
  });
  const seconds = secondsSince(startedAt);
  progress.clear();
  const holds = findings.every(({ breaches }) => breaches === 0);
  if (options.json) console.log(JSON.stringify({ ...summary, audit: { holds, seconds, findings } }, null, 2));
  else console.log(`${summaryText(summary)}\n${auditTable(findings, seconds)}`);
  if (!isWell(summary, findings)) process.exitCode = FAILED_EXIT_CODE;
}

async function morningOf(platform: PlatformRecord, options: DemoOptions, tell: Tell): Promise<Attempt[]> {
  const edge = new Edge(platform.edgeUrl);
  try {
    const sections = await readSections(edge, term.id);
    if (sections.length === 0) throw new PlatformError(`There is no open section in ${term.id}, the demo's term.`);
    const random = randomFrom(options.seed);
    const taste = tasteOf(sections, random);
    const emails = students.slice(0, options.students).map(({ account }) => account?.email ?? '');
    const loggedIn = await logInAll(edge, emails, tell);
    const asks = loggedIn.map((student) => [student, nextWish(taste, random)] as const);
    return await untilEnded(edge, await registerAll(edge, asks, tell), tell);
  } finally {
    await edge.close();
  }
}

function isWell({ registrations }: Summary, findings: readonly Finding[]): boolean {
  return registrations.pending === 0 && findings.every(({ breaches }) => breaches === 0);
}

function wholeFrom(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`write a whole number from ${min} to ${max}.`);
  };
}
