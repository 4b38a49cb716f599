import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from './cache.ts';
import { startChild, tailOf } from './child.ts';
import { PlatformError, sentenceForLog } from './failure.ts';
import { takeLock } from './lock.ts';

/** As pinned in tools/temporal/go.mod. */
const CLI_VERSION = '1.8.2';
/** The first server with everything the sagas use. */
const serverVersionMin = [1, 28];
const SDK_DOWNLOAD_SITE = 'https://temporal.download';
const REACH_TIMEOUT_MS = 5_000;
const DOWNLOAD_TIMEOUT_MS = 180_000;
const BUILD_TIMEOUT_MS = 20 * 60_000;
const PROGRESS_EVERY_MS = 10_000;
const LOCK_POLL_MS = 500;
const modules = join(import.meta.dirname, '..', 'tools', 'temporal');

export interface TemporalSearch {
  environment: Record<string, string | undefined>;
  /** Asked first whether a download can work at all. */
  downloadSite?: string;
  /** Told, now and then, what takes long. */
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
}

/**
 * Finds the Temporal CLI: on PATH, in this user's cache, by the SDK's own download, or by building it with Go; the
 * last two once for a user. @throws PlatformError where there is none to be had
 */
export async function findTemporal(search: TemporalSearch): Promise<string> {
  const installed = onPath('temporal', search.environment);
  if (installed && isNewEnough(installed)) return installed;
  const folder = join(cacheFolder(search.environment), `temporal-${CLI_VERSION}`);
  const cached = join(folder, 'temporal');
  if (existsSync(cached)) return cached;
  mkdirSync(folder, { recursive: true });
  await withLock(join(folder, 'lock'), search, async () => {
    if (existsSync(cached)) return;
    if (await isReachable(search.downloadSite ?? SDK_DOWNLOAD_SITE))
      await download(folder, cached, search).catch(() => search.onProgress?.('The download failed.'));
    if (!existsSync(cached)) await build(folder, cached, search);
  });
  return cached;
}

/** The first executable of this name on PATH. */
export function onPath(command: string, environment: Record<string, string | undefined>): string | undefined {
  const files = (environment.PATH ?? '').split(':').map((folder) => join(folder || '.', command));
  return files.find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function isNewEnough(binary: string): boolean {
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  const [, major, minor] = /Server (\d+)\.(\d+)/.exec(stdout ?? '')?.map(Number) ?? [];
  const [majorMin = 0, minorMin = 0] = serverVersionMin;
  return major !== undefined && minor !== undefined && (major > majorMin || (major === majorMin && minor >= minorMin));
}

/** Two starts at once must not both build. */
async function withLock(file: string, search: TemporalSearch, body: () => Promise<void>): Promise<void> {
  let lock = takeLock(file);
  if (!lock) search.onProgress?.('Waiting for another start that is fetching Temporal.');
  for (; !lock; lock = takeLock(file)) await sleep(LOCK_POLL_MS, undefined, search.signal && { signal: search.signal });
  try {
    await body();
  } finally {
    lock.release();
  }
}

async function isReachable(site: string): Promise<boolean> {
  try {
    await fetch(site, { method: 'HEAD', signal: AbortSignal.timeout(REACH_TIMEOUT_MS) });
    return true;
  } catch {
    return false;
  }
}

async function download(folder: string, target: string, search: TemporalSearch): Promise<void> {
  search.onProgress?.(`Downloading Temporal ${CLI_VERSION}, once for this user.`);
  const { TestWorkflowEnvironment } = await import('@temporalio/testing');
  const downloadDir = join(folder, 'download');
  rmSync(downloadDir, { recursive: true, force: true });
  mkdirSync(downloadDir);
  const executable = { type: 'cached-download', downloadDir, version: `v${CLI_VERSION}` } as const;
  const started = TestWorkflowEnvironment.createLocal({ server: { executable } });
  const environment = await Promise.race([started, sleep(DOWNLOAD_TIMEOUT_MS, undefined, { ref: false })]);
  await environment?.teardown();
  const binary = readdirSync(downloadDir).find((name) => isExecutable(join(downloadDir, name)));
  if (binary) renameSync(join(downloadDir, binary), target);
}

async function build(folder: string, target: string, search: TemporalSearch): Promise<void> {
  const go = onPath('go', search.environment);
  if (!go) {
    throw new PlatformError(
      `Temporal is missing: ${SDK_DOWNLOAD_SITE} does not answer, and there is no Go to build it. Install Go 1.26 or newer, ` +
        'or put the temporal command on PATH, or set TEMPORAL_ADDRESS to a running server; then start again.',
    );
  }
  const unfinished = `${target}.${process.pid}`;
  const logFile = join(folder, 'build.log');
  const child = await startChild({
    command: go,
    arguments: ['-C', modules, 'build', '-o', unfinished, 'github.com/temporalio/cli/cmd/temporal'],
    environment: { ...search.environment, CGO_ENABLED: '0' },
    logFile,
    pidFile: join(folder, 'build.pid'),
    stopSignal: 'SIGINT',
    abandonSignal: 'SIGTERM',
    stopTimeoutMs: REACH_TIMEOUT_MS,
  });
  const end = await Promise.race([child.exited, reportUntilLate(search)]);
  if (end === 'exit code 0') return renameSync(unfinished, target);
  await child.stop();
  rmSync(unfinished, { force: true });
  search.signal?.throwIfAborted();
  throw new PlatformError(
    sentenceForLog(tailOf(logFile, child.logStart)) ??
      `Temporal could not be built with Go (${end}): see ${logFile}, or put the temporal command on PATH.`,
  );
}

async function reportUntilLate({ onProgress, signal }: TemporalSearch): Promise<string> {
  const startedAt = Date.now();
  while (!signal?.aborted && Date.now() - startedAt < BUILD_TIMEOUT_MS) {
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    onProgress?.(
      `Building Temporal ${CLI_VERSION} with Go, once for this user; ${seconds} s so far, 3 to 6 minutes is usual.`,
    );
    await sleep(PROGRESS_EVERY_MS, undefined, { ref: false, ...(signal && { signal }) }).catch(() => undefined);
  }
  return signal?.aborted ? 'interrupted' : `not done within ${BUILD_TIMEOUT_MS / 60_000} minutes`;
}
