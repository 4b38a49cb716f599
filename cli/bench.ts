/** Measures what the README promises, on a fresh platform of its own, load generator included. */

import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Table from 'cli-table3';
import { Command } from 'commander';
import pg from 'pg';
import { databaseAt } from '#lib/database-url';
import type { Platform } from '../local/platform.ts';
import { acceptAtRate } from './bench/accept.ts';
import { drainRate } from './bench/drain.ts';
import { decideAlone } from './bench/engine.ts';
import { memoryOfTree } from './bench/memory.ts';
import { importSchedule, startReady } from './bench/start.ts';
import { makeApplicants, publishTerm, SECTIONS_PER_STUDENT } from './bench/term.ts';
import { viewDelay } from './bench/view-delay.ts';
import { connect } from './connect.ts';

const IDLE_MS = 15_000;
const ENGINE_REGISTRATIONS = 40_000;
const VIEW_RATE = 200;
const VIEW_SECONDS = 10;
const DRAIN_WINDOW_MS = 20_000;
/** The rush grows in steps of the rate that is measured: so crowds come, and code that has never run is slow. */
const GROWTH = [0.25, 0.5, 0.75, 1];
const STEP_SECONDS = 2;
const CALM_MS = 3_000;
const KNOWN_TIMEOUT_MS = 60_000;

interface BenchOptions {
  rate: string;
  seconds: string;
  json: boolean;
}

interface Figure {
  what: string;
  measured: string;
  target: string;
}

type Add = (what: string, measured: string, target: string) => void;

export const command = new Command()
  .option('--rate <registrations>', 'registrations offered a second over HTTP', '1010')
  .option('--seconds <seconds>', 'for how long', '20')
  .option('--json', 'machine-readable', false)
  .action(bench);

async function bench({ rate, seconds, json }: BenchOptions): Promise<void> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'registrar-bench-'));
  const say = (line: string) => json || console.error(line);
  const figures: Figure[] = [];
  const add: Add = (what, measured, target) => {
    figures.push({ what, measured, target });
    say(`${what}: ${measured} (target ${target})`);
  };
  // One address makes all requests here, which no campus does.
  const settings = { RATE_PER_ADDRESS_PER_MINUTE: '10000000' };
  const options = { dataFolder, settings, onProgress: say };
  let started = await startReady(options);
  try {
    add('first start, with the demo campus', inSeconds(started.seconds), '≤ 30 s');
    await started.platform.stop();
    started = await startReady(options);
    add('second start, on the same data', inSeconds(started.seconds), '≤ 12 s');
    await measure(started.platform, { perSecond: Number(rate), seconds: Number(seconds), say, add });
    await started.platform.stop();
    const alone = await decideAlone(join(dataFolder, 'engine'), ENGINE_REGISTRATIONS);
    add('decisions, engine alone', `${alone.toFixed(0)} registrations/s`, '≥ 8,000/s');
    console.log(json ? JSON.stringify(figures) : tableOf(figures));
  } finally {
    await started.platform.stop();
    await rm(dataFolder, { recursive: true, force: true });
  }
  process.exit();
}

async function measure(
  platform: Platform,
  { perSecond, seconds, say, add }: { perSecond: number; seconds: number; say: (line: string) => unknown; add: Add },
): Promise<void> {
  const { edgeUrl, replicaUrls, primaryUrl, databaseUrls, dataFolder, signingKeyFile } = platform.record;

  await sleep(IDLE_MS);
  const bytes = await memoryOfTree(process.pid);
  add('memory of the idle platform', bytes ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : 'unknown here', '≤ 2 GiB');

  const imported = await importSchedule(dataFolder);
  add('a real schedule is imported', imported === undefined ? 'no schedule here' : inSeconds(imported), '≤ 30 s');

  await publish(platform);
  await sleep(CALM_MS);
  const viewers = await makeApplicants(signingKeyFile, VIEW_RATE * VIEW_SECONDS);
  const replicaUrl = databaseAt(replicaUrls[0] ?? primaryUrl, 'views');
  const delay = await viewDelay({ edgeUrl, replicaUrl }, viewers, VIEW_RATE);
  add(`a view shows a decision, at ${VIEW_RATE}/s`, `p50 ${ms(delay.p50Ms)}, p99 ${ms(delay.p99Ms)}`, 'p99 ≤ 250 ms');

  const drained = await drainRate(databaseUrls.enrollment ?? '', DRAIN_WINDOW_MS);
  add(`sagas drained, of a backlog of ${drained.backlog}`, `${drained.perSecond.toFixed(1)}/s`, '≥ 35/s');

  const growth = GROWTH.map((share) => Math.ceil(perSecond * share));
  const early = growth.reduce((sum, rate) => sum + rate * STEP_SECONDS, 0);
  const applicants = await makeApplicants(signingKeyFile, early + perSecond * seconds);
  for (const rate of growth) await acceptAtRate(edgeUrl, applicants.splice(0, rate * STEP_SECONDS), rate);
  const accepted = await acceptAtRate(edgeUrl, applicants, perSecond);
  const { p50Ms, p99Ms } = accepted.latency;
  add(
    `accepted over HTTP for ${seconds} s, ${SECTIONS_PER_STUDENT} sections each`,
    `${accepted.perSecond.toFixed(0)}/s, p50 ${ms(p50Ms)}, p99 ${ms(p99Ms)}, ${accepted.errors} errors`,
    '≥ 1,000/s, p99 ≤ 250 ms, 0 errors',
  );
  if (accepted.errors > 0) say(JSON.stringify(accepted.statuses));
}

/** Publishes the term and waits until enrollment knows all of it. */
async function publish({ record }: Platform): Promise<void> {
  const clients = await connect(record);
  await publishTerm(clients);
  clients.close();
  const client = new pg.Client({ connectionString: record.databaseUrls.enrollment });
  await client.connect();
  const giveUpAt = Date.now() + KNOWN_TIMEOUT_MS;
  const known = async () =>
    Number((await client.query("select count(*) from sections where term_id = 'BENCH'")).rows[0].count);
  while ((await known()) < 2_000 && Date.now() < giveUpAt) await sleep(100);
  await client.end();
}

function inSeconds(value: number): string {
  return `${value.toFixed(1)} s`;
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}

function tableOf(figures: Figure[]): string {
  const table = new Table({ head: ['figure', 'measured', 'target'], style: { head: [] } });
  for (const { what, measured, target } of figures) table.push([what, measured, target]);
  return `${table.toString()}\n${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), load generator included.`;
}
