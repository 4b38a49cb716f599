/** The platform's own processes together: placed on ports, started side by side, stopped in order. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { inheritedEnvironment, type ProcessName } from '#lib/config';
import { cacheFolder } from './cache.ts';
import { Keeper } from './keeper.ts';
import {
  entryOf,
  environmentOf,
  isReady,
  labelOf,
  nicenessOf,
  type Part,
  processNames,
  type Surroundings,
} from './part.ts';
import { freePort } from './port.ts';
import { reporting } from './reporting.ts';

const READY_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 15_000;
const LOOPBACK = '127.0.0.1';

/** Nobody is stopped before those who call it; all others are last. */
const stoppedFirst: ProcessName[][] = [['edge'], ['starter', 'worker', 'auditor', 'projector']];

export interface KeptPart {
  part: Part;
  keeper: Keeper;
}

export interface Placement {
  scale?: Partial<Record<ProcessName, number>>;
  edgePort?: number;
  edgeHost?: string;
  /** What somebody else runs. */
  without?: readonly ProcessName[];
}

/** Gives every instance of every process its address, which it keeps over restarts. */
export async function placeParts({ scale = {}, edgePort, edgeHost, without = [] }: Placement): Promise<Part[]> {
  const parts: Part[] = [];
  for (const name of processNames.filter((one) => !without.includes(one))) {
    for (let number = 1; number <= (scale[name] ?? 1); number++) {
      const host = (name === 'edge' && edgeHost) || LOOPBACK;
      const port = (name === 'edge' && edgePort) || (await freePort());
      parts.push({ name, number, host, port, metricsPort: await freePort() });
    }
  }
  return parts;
}

export interface PartSurroundings {
  around: Surroundings;
  logFolder: string;
  runFolder: string;
  settings?: Record<string, string>;
  samePriority?: boolean;
  onEvent?: (line: string) => void;
}

/** Keepers of all parts, none of them started yet. */
export function keepParts(parts: readonly Part[], surroundings: PartSurroundings): KeptPart[] {
  const inherited = inheritedEnvironment();
  // Node keeps there what it compiled: later starts are faster.
  const compileCache = join(cacheFolder(inherited), 'compile-cache');
  mkdirSync(compileCache, { recursive: true });
  const environment = { ...inherited, NODE_COMPILE_CACHE: compileCache, ...surroundings.settings };
  return parts.map((part) => ({ part, keeper: keeperOf(part, parts, surroundings, environment) }));
}

function keeperOf(
  part: Part,
  all: readonly Part[],
  { around, logFolder, runFolder, samePriority = false, onEvent }: PartSurroundings,
  environment: Record<string, string | undefined>,
): Keeper {
  const label = labelOf(part);
  const niceness = samePriority ? undefined : nicenessOf(part.name);
  return new Keeper({
    name: label,
    child: {
      command: process.execPath,
      arguments: entryOf(part.name),
      environment: { ...environment, ...environmentOf(part, all, around) },
      logFile: join(logFolder, `${label}.log`),
      pidFile: join(runFolder, `${label}.pid`),
      stopSignal: 'SIGTERM',
      abandonSignal: 'SIGKILL',
      stopTimeoutMs: STOP_TIMEOUT_MS,
      channel: true,
    },
    isReady: () => isReady(part),
    readyTimeoutMs: READY_TIMEOUT_MS,
    ...(niceness !== undefined && { niceness }),
    ...(onEvent && { onEvent }),
  });
}

/** Starts all at once and answers when all are ready; says meanwhile who is waited for. */
export async function startAll(
  kept: readonly KeptPart[],
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (line: string) => void },
): Promise<void> {
  const waiting = new Set(kept.map((one) => one.keeper.name));
  const line = () =>
    `${kept.length - waiting.size} of ${kept.length} processes are ready; waiting for ${[...waiting].join(', ')}`;
  const start = async ({ keeper }: KeptPart) => {
    await keeper.start(signal);
    waiting.delete(keeper.name);
  };
  await reporting(line, onProgress, () => Promise.all(kept.map(start)));
}

export async function stopInOrder(kept: readonly KeptPart[]): Promise<void> {
  const first = new Set(stoppedFirst.flat());
  const waves = [...stoppedFirst.map((names) => new Set<ProcessName>(names)), undefined];
  for (const wave of waves) {
    const members = kept.filter(({ part }) => (wave ? wave.has(part.name) : !first.has(part.name)));
    await Promise.all(members.map(({ keeper }) => keeper.stop()));
  }
}

/** @throws RangeError where there is no such process */
export function findPart(kept: readonly KeptPart[], name: ProcessName, number: number): Keeper {
  const found = kept.find(({ part }) => part.name === name && part.number === number);
  if (!found) throw new RangeError(`no process ${name} ${number}`);
  return found.keeper;
}

/** By label, as `enrollment-2`; what is down is left out. */
export function pidsOf(kept: readonly KeptPart[]): Record<string, number> {
  return Object.fromEntries(
    kept.flatMap(({ keeper }) => {
      const pid = keeper.pid();
      return pid === undefined ? [] : [[keeper.name, pid]];
    }),
  );
}
