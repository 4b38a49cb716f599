/** The whole platform on one machine: Postgres with replicas, Temporal, and every process under a keeper. */
import { join } from 'node:path';
import { inheritedEnvironment, type ProcessName } from '#lib/config';
import { databaseAt } from '#lib/database-url';
import { type DataFolder, takeDataFolder } from './data-folder.ts';
import { PlatformError } from './failure.ts';
import type { Keeper } from './keeper.ts';
import { keyFiles } from './keys.ts';
import { addressOf, databaseNames, type Part, type Surroundings, scalable } from './part.ts';
import { findPart, keepParts, pidsOf, placeParts, startAll, stopInOrder } from './parts.ts';
import { forgetPlatform, type PlatformRecord, writePlatform } from './platform-record.ts';
import { listenFailure } from './port.ts';
import { type Cluster, type ClusterOptions, createDatabases, type Servers, startCluster } from './postgres.ts';
import { reporting, secondsSince } from './reporting.ts';
import { runningPostgres } from './running-postgres.ts';
import { runningProcess } from './running-process.ts';
import { startTemporal, type Temporal } from './temporal.ts';

const REPLICAS = 2;
const TEMPORAL_NICENESS = 19;
const LOOPBACK = '127.0.0.1';

export interface PlatformOptions {
  dataFolder: string;
  /** Default: a free one. */
  edgePort?: number;
  /** Where the edge listens; default: loopback only. Everything else always listens on loopback. */
  edgeHost?: string;
  /** How many instances of a process; one where it is not said. */
  scale?: Partial<Record<ProcessName, number>>;
  /** Nothing gives way to anything else; by default what nobody waits for does. */
  samePriority?: boolean;
  /** Forget all data first. */
  fresh?: boolean;
  /** Variables of lib/config.ts for all processes, over the inherited ones. */
  settings?: Record<string, string>;
  /** Told what was reached and what is waited for. */
  onProgress?: (line: string) => void;
  /** One line about each process that died and is started again. */
  onEvent?: (line: string) => void;
  signal?: AbortSignal;
}

export interface Platform {
  record: PlatformRecord;
  /** Undefined where somebody else's Postgres is used. */
  cluster: Cluster | undefined;
  temporal: Temporal;
  /** The keeper of one process, to kill, pause, stop and start it. */
  part(name: ProcessName, number?: number): Keeper;
  /** By label, as `enrollment-2`; what is down is left out. */
  pids(): Record<string, number>;
  stop(): Promise<void>;
}

/** Starts everything and answers when all of it is ready; on any failure nothing is left running. */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  checkScale(options.scale ?? {});
  await checkEdgePort(options);
  checkFresh(options);
  const folder = await takeDataFolder(options.dataFolder, { fresh: options.fresh ?? false });
  const undo = new AsyncDisposableStack();
  undo.defer(() => folder.release());
  try {
    const platform = await startParts(folder, options, undo);
    return { ...platform, stop: () => undo.disposeAsync() };
  } catch (failure) {
    await undo.disposeAsync();
    throw failure;
  }
}

function checkScale(scale: Partial<Record<ProcessName, number>>): void {
  for (const [name, count] of Object.entries(scale)) {
    const known = scalable.find((one) => one === name);
    if (known && Number.isInteger(count) && count >= 1) continue;
    throw new PlatformError(`--scale ${name}=${count} cannot be: give a number from 1 on for ${scalable.join(', ')}.`);
  }
}

async function checkEdgePort({ edgePort, edgeHost = LOOPBACK }: PlatformOptions): Promise<void> {
  const failure = edgePort ? await listenFailure(edgePort, edgeHost) : undefined;
  if (failure === 'EADDRINUSE') {
    throw new PlatformError(`Port ${edgePort} is in use: stop what listens there, or choose another with --port.`);
  }
  if (failure) throw new PlatformError(`The edge cannot listen on ${edgeHost}:${edgePort} (${failure}): use --port.`);
}

/** What is in somebody else's database is not ours to forget. */
function checkFresh({ fresh = false }: PlatformOptions): void {
  if (!fresh || !inheritedEnvironment().POSTGRES_URL) return;
  const names = databaseNames.join(', ');
  throw new PlatformError(`--fresh empties our own Postgres only: drop ${names} yourself, or unset POSTGRES_URL.`);
}

async function startParts(
  folder: DataFolder,
  options: PlatformOptions,
  undo: AsyncDisposableStack,
): Promise<Omit<Platform, 'stop'>> {
  const keys = await keyFiles(folder.path);
  const { cluster, servers, temporal } = await startStores(folder, options, undo);
  const { PAYMENT_PROVIDER_URL: paymentProviderUrl } = inheritedEnvironment();
  const around: Surroundings = {
    ...keys,
    databaseUrl: (database) => databaseAt(servers.primaryUrl, database),
    replicaUrls: (database) => servers.replicaUrls.map((url) => databaseAt(url, database)),
    primaryUrl: servers.primaryUrl,
    temporalAddress: temporal.address,
    paymentProviderUrl,
    workflowBundleFile: join(folder.path, 'workflow-bundle.js'),
  };
  const parts = await placeParts({ ...options, without: paymentProviderUrl ? ['provider'] : [] });
  const kept = keepParts(parts, { ...options, around, logFolder: folder.logs, runFolder: folder.run });
  undo.defer(() => stopInOrder(kept));
  await startAll(kept, options);
  const record = recordOf(folder, around, parts, temporal);
  undo.defer(async () => forgetPlatform(folder.path));
  writePlatform(record);
  return {
    record,
    cluster,
    temporal,
    part: (name, number = 1) => findPart(kept, name, number),
    pids: () => pidsOf(kept),
  };
}

/** Postgres and Temporal do not need each other: they start and stop side by side. */
async function startStores(folder: DataFolder, options: PlatformOptions, undo: AsyncDisposableStack) {
  const stops: (() => Promise<void>)[] = [];
  undo.defer(async () => {
    await Promise.all(stops.map((stop) => stop()));
  });
  // Where one fails, the other is not waited for: building Temporal may take minutes.
  const failed = new AbortController();
  const { onEvent } = options;
  const progress = storeProgress(options);
  const told = {
    signal: AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]),
    onProgress: progress.tell,
    ...(onEvent && { onEvent }),
  };
  const stores = [
    progress.starting('Postgres', async () => {
      const postgres = await startPostgres(folder, told);
      stops.push(() => postgres.servers.stop());
      await createDatabases(postgres.servers, databaseNames);
      return postgres;
    }),
    progress.starting('Temporal', async () => {
      const { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace } = inheritedEnvironment();
      const logFile = join(folder.logs, 'temporal.log');
      const priority = options.samePriority ? {} : { niceness: TEMPORAL_NICENESS };
      const temporal = await startTemporal({
        folder: folder.temporal,
        ...{ address, namespace, logFile },
        ...priority,
        ...told,
      });
      stops.push(() => temporal.stop());
      return temporal;
    }),
  ] as const;
  for (const one of stores) one.catch((failure: unknown) => failed.abort(failure));
  // Both have ended, up or down, before what they started can be undone.
  await reporting(progress.line, options.onProgress, () => Promise.allSettled(stores));
  failed.signal.throwIfAborted();
  const [postgres, temporal] = await Promise.all(stores);
  return { ...postgres, temporal };
}

/** Ours, or the servers that the environment names. */
async function startPostgres(
  folder: DataFolder,
  told: Pick<ClusterOptions, 'signal' | 'onEvent'>,
): Promise<{ servers: Servers; cluster?: Cluster }> {
  const { POSTGRES_URL: primaryUrl, POSTGRES_REPLICA_URLS: replicaUrls = '' } = inheritedEnvironment();
  if (primaryUrl) return { servers: await runningPostgres(primaryUrl, replicaUrls.split(',').filter(Boolean)) };
  const cluster = await startCluster({
    folder: folder.postgres,
    replicas: REPLICAS,
    logFolder: folder.logs,
    ...told,
  });
  return { servers: cluster, cluster };
}

/** What is started, and which of it is ready. */
function storeProgress({ onProgress }: PlatformOptions) {
  const waiting = new Set<string>();
  let isFetching = false;
  return {
    line: () => (isFetching && waiting.has('Temporal') ? undefined : `Starting ${[...waiting].join(' and ')}`),
    /** Temporal itself tells how the making of it goes. */
    tell: (line: string) => {
      isFetching = true;
      onProgress?.(line);
    },
    starting: async <T>(what: string, body: () => Promise<T>): Promise<T> => {
      const startedAt = Date.now();
      waiting.add(what);
      const result = await body();
      waiting.delete(what);
      onProgress?.(`${what} is ready (${secondsSince(startedAt)})`);
      return result;
    },
  };
}

function recordOf(
  folder: DataFolder,
  around: Surroundings,
  parts: readonly Part[],
  temporal: Temporal,
): PlatformRecord {
  const supervisor = runningProcess(process.pid);
  if (!supervisor) throw new Error('this process does not find itself among the running ones');
  const urlOf = (name: ProcessName) =>
    parts.filter((part) => part.name === name).map((part) => `http://${addressOf(part)}`);
  return {
    supervisor,
    dataFolder: folder.path,
    logFolder: folder.logs,
    edgeUrl: urlOf('edge')[0] ?? '',
    paymentProviderUrl: around.paymentProviderUrl || (urlOf('provider')[0] ?? ''),
    temporalAddress: temporal.address,
    ...(temporal.uiUrl && { temporalUiUrl: temporal.uiUrl }),
    primaryUrl: around.primaryUrl,
    replicaUrls: around.replicaUrls('postgres'),
    databaseUrls: Object.fromEntries(databaseNames.map((name) => [name, around.databaseUrl(name)])),
    serviceKeyFile: around.serviceKeyFile,
    signingKeyFile: around.signingKeyFile,
    parts: parts.map((part) => ({
      name: part.name,
      number: part.number,
      address: addressOf(part),
      metricsUrl: `http://${LOOPBACK}:${part.metricsPort}/metrics`,
    })),
  };
}
