import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { ProcessName } from '#lib/config';
import { PlatformError } from './failure.ts';
import { isRunning, type RunningProcess } from './running-process.ts';

/** Where everything of a running platform is; kept in its data folder for other commands, with the passwords in it. */
export interface PlatformRecord {
  supervisor: RunningProcess;
  dataFolder: string;
  logFolder: string;
  /** Base URL of the REST edge. */
  edgeUrl: string;
  paymentProviderUrl: string;
  temporalAddress: string;
  /** Absent where Temporal is somebody else's. */
  temporalUiUrl?: string;
  /** The superuser's URL of the database `postgres`. */
  primaryUrl: string;
  replicaUrls: string[];
  /** URL on the primary, by the database's name. */
  databaseUrls: Record<string, string>;
  serviceKeyFile: string;
  signingKeyFile: string;
  parts: PartRecord[];
}

export interface PartRecord {
  name: ProcessName;
  number: number;
  /** host:port */
  address: string;
  metricsUrl: string;
}

function fileOf(dataFolder: string): string {
  return join(resolve(dataFolder), 'platform.json');
}

export function writePlatform(record: PlatformRecord): void {
  writeFileSync(fileOf(record.dataFolder), `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
}

export function forgetPlatform(dataFolder: string): void {
  rmSync(fileOf(dataFolder), { force: true });
}

/** What runs on a data folder now. @throws PlatformError where nothing does */
export function readPlatform(dataFolder: string): PlatformRecord {
  const record = readRecord(fileOf(dataFolder));
  if (record && isRunning(record.supervisor)) return record;
  throw new PlatformError(
    `No platform runs on ${resolve(dataFolder)}: start one with npm start, or say where it is with --data.`,
  );
}

function readRecord(file: string): PlatformRecord | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'ENOENT') return undefined;
    throw failure;
  }
}

/** host:port of every instance of a process. */
export function addressesOf(record: PlatformRecord, name: ProcessName): string[] {
  return record.parts.filter((part) => part.name === name).map((part) => part.address);
}
