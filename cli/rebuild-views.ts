import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import type { Clients } from '#lib/clients';
import { type ServiceName, services } from '#lib/config';
import { EventLogService } from '#proto/eventlog/v1/service';
import { ProjectorService } from '#proto/projector/v1/service';
import { ServerService } from '#proto/server/v1/service';
import { PlatformError } from '../local/failure.ts';
import { readPlatform } from '../local/platform-record.ts';
import { connect } from './connect.ts';
import { dataOption } from './data-option.ts';
import { secondsSince } from './elapsed.ts';
import { paced } from './paced.ts';
import { Progress } from './progress.ts';

/** Longer than the projector gives the batches in flight. */
const REBUILD_TIMEOUT_MS = 45_000;
const LOOK_AGAIN_MS = 200;
/** Without one more event for so long, the rebuild does not go on. */
const STANDSTILL_MS = 60_000;

type Positions = ReadonlyMap<ServiceName, bigint>;

export const command = new Command()
  .option('--json', 'print one JSON object instead of text', false)
  .addOption(dataOption())
  .addHelpText('after', '\nWhile it fills them, reads are behind and say so; registering goes on.')
  .action(rebuildViews);

async function rebuildViews({ json, data }: { json: boolean; data: string }): Promise<void> {
  const clients = await connect(readPlatform(data));
  const progress = new Progress();
  try {
    const startedAt = performance.now();
    await clients.of(ProjectorService, 'projector').rebuildViews({}, { timeoutMs: REBUILD_TIMEOUT_MS });
    const heads = await headsOf(clients);
    await untilReached(clients, heads, json ? () => undefined : paced((line) => progress.show(line)));
    const seconds = secondsSince(startedAt);
    progress.clear();
    const events = Object.fromEntries(heads.entries().map(([source, head]) => [source, Number(head)]));
    if (json) console.log(JSON.stringify({ events, seconds }, null, 2));
    else console.log(`The views are rebuilt from ${sumOf(heads.values())} events in ${seconds} s.`);
  } finally {
    clients.close();
  }
}

/** Where each log ends now; what is appended meanwhile the projector follows as always. */
async function headsOf(clients: Clients): Promise<Positions> {
  const heads = services.map(async (source) => {
    const { headPosition } = await clients.of(EventLogService, source).readEvents({ limit: 1 });
    return [source, headPosition] as const;
  });
  return new Map(await Promise.all(heads));
}

/** @throws PlatformError where nothing is applied any more */
async function untilReached(clients: Clients, heads: Positions, tell: (line: string) => void): Promise<void> {
  const all = sumOf(heads.values());
  let applied = -1n;
  for (let movedAt = Date.now(); ; await sleep(LOOK_AGAIN_MS)) {
    const positions = await positionsOf(clients);
    const left = [...heads].map(([source, head]) => head - least(positions.get(source) ?? 0n, head));
    const appliedNow = all - sumOf(left);
    if (appliedNow === all) return;
    if (appliedNow > applied) movedAt = Date.now();
    applied = appliedNow;
    tell(`${applied} of ${all} events are applied`);
    if (Date.now() - movedAt > STANDSTILL_MS) throw new PlatformError(standstill(heads, positions));
  }
}

async function positionsOf(clients: Clients): Promise<ReadonlyMap<string, bigint>> {
  const { servers } = await clients.of(ServerService, 'projector').listServers({});
  // All instances write one database, so each tells the same.
  return new Map(servers[0]?.checkpoints.map(({ source, position }) => [source, position]));
}

function standstill(heads: Positions, positions: ReadonlyMap<string, bigint>): string {
  const behind = [...heads].filter(([source, head]) => (positions.get(source) ?? 0n) < head).map(([source]) => source);
  return `The views do not fill any further: look into the log of the projector, and whether ${behind.join(' and ')} can be reached.`;
}

function sumOf(numbers: Iterable<bigint>): bigint {
  let sum = 0n;
  for (const number of numbers) sum += number;
  return sum;
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}
