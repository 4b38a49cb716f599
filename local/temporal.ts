/** A real Temporal server with its Web UI, for one machine and for tests. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { inheritedEnvironment } from '#lib/config';
import { PlatformError } from './failure.ts';
import { Keeper } from './keeper.ts';
import { takeLock } from './lock.ts';
import { freePort } from './port.ts';
import { grpcServes } from './readiness.ts';
import { ensureSearchAttributes, searchAttributes } from './search-attributes.ts';
import { findTemporal, type TemporalSearch } from './temporal-binary.ts';

const FRONTEND_SERVICE = 'temporal.api.workflowservice.v1.WorkflowService';
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const HOST = '127.0.0.1';

/** Measured: the pragmas double the sagas per second, and one partition a task queue brings a tenth more. */
const pragmas = { journal_mode: 'WAL', synchronous: 'NORMAL' };
const dynamicConfig = {
  'matching.numTaskqueueReadPartitions': 1,
  'matching.numTaskqueueWritePartitions': 1,
  // The development server asks the database anew, a dozen times a saga, which search attributes and endpoints there are. Ours stay.
  'system.forceSearchAttributesCacheRefreshOnRead': false,
  'system.forceNexusEndpointRefreshOnRead': false,
};

export interface TemporalOptions extends Partial<TemporalSearch> {
  /** Made if it is not there; its workflows are kept between starts. */
  folder: string;
  /** A server that runs already; then none is started. */
  address?: string | undefined;
  /** Of the sagas, on a server that runs already. */
  namespace?: string | undefined;
  /** Default: `temporal.log` in the folder. */
  logFile?: string;
  niceness?: number;
  /** One line about each restart. */
  onEvent?: (line: string) => void;
}

export interface Temporal {
  /** host:port of the frontend. */
  address: string;
  /** Undefined where the server is somebody else's. */
  uiUrl: string | undefined;
  /** The server's process; undefined where the server is somebody else's. */
  server: Keeper | undefined;
  stop(): Promise<void>;
}

/** Starts a Temporal server and keeps it running, or makes sure that the one at `address` answers. */
export async function startTemporal(options: TemporalOptions): Promise<Temporal> {
  if (options.address) return runningTemporal(options.address, options.namespace || 'default');
  const folder = resolve(options.folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = takeLock(join(folder, 'lock'));
  if (!lock) throw new PlatformError(`Another process already runs the Temporal server in ${folder}: stop it first.`);
  let server: Keeper | undefined;
  const stop = async () => {
    await server?.stop();
    lock.release();
  };
  try {
    const binary = await findTemporal({ ...options, environment: options.environment ?? inheritedEnvironment() });
    const ports = {
      frontend: await freePort(),
      ui: await freePort(),
      http: await freePort(),
      metrics: await freePort(),
    };
    server = serverKeeper(binary, folder, ports, options);
    await server.start(options.signal);
    return { address: `${HOST}:${ports.frontend}`, uiUrl: `http://${HOST}:${ports.ui}`, server, stop };
  } catch (failure) {
    await stop();
    throw failure;
  }
}

async function runningTemporal(address: string, namespace: string): Promise<Temporal> {
  const serves = await grpcServes(address, FRONTEND_SERVICE).catch(() => false);
  if (!serves)
    throw new PlatformError(`No Temporal server answers at ${address}: start it, or unset TEMPORAL_ADDRESS.`);
  await ensureSearchAttributes(address, namespace);
  return { address, uiUrl: undefined, server: undefined, stop: async () => undefined };
}

interface TemporalPorts {
  frontend: number;
  ui: number;
  http: number;
  metrics: number;
}

function serverKeeper(binary: string, folder: string, ports: TemporalPorts, options: TemporalOptions): Keeper {
  return new Keeper({
    name: 'Temporal',
    child: {
      command: binary,
      arguments: serverArguments(folder, ports),
      // Not the user's: there may be a Temporal configuration in it that means another server.
      environment: { HOME: folder, PATH: '/usr/bin:/bin' },
      logFile: options.logFile ?? join(folder, 'temporal.log'),
      pidFile: join(folder, 'temporal.pid'),
      stopSignal: 'SIGTERM',
      abandonSignal: 'SIGKILL',
      stopTimeoutMs: STOP_TIMEOUT_MS,
    },
    isReady: () => grpcServes(`${HOST}:${ports.frontend}`, FRONTEND_SERVICE),
    readyTimeoutMs: READY_TIMEOUT_MS,
    ...(options.niceness !== undefined && { niceness: options.niceness }),
    ...(options.onEvent && { onEvent: options.onEvent }),
  });
}

function serverArguments(folder: string, ports: TemporalPorts): string[] {
  const repeated = (flag: string, values: Record<string, string | number | boolean>) =>
    Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
  return [
    ...['server', 'start-dev', '--ip', HOST, '--port', String(ports.frontend), '--ui-port', String(ports.ui)],
    ...['--http-port', String(ports.http), '--metrics-port', String(ports.metrics)],
    ...['--db-filename', join(folder, 'temporal.db'), '--log-format', 'json', '--log-level', 'warn'],
    ...repeated('--sqlite-pragma', pragmas),
    ...repeated('--dynamic-config-value', dynamicConfig),
    ...repeated('--search-attribute', searchAttributes),
  ];
}
