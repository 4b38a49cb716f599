import { Command, InvalidArgumentError } from 'commander';
import type { ProcessName } from '#lib/config';
import { PlatformError } from '../local/failure.ts';
import { type Platform, startPlatform } from '../local/platform.ts';
import { secondsSince } from '../local/reporting.ts';
import { loadCampusOnce } from './campus/load.ts';
import { connect } from './connect.ts';
import { dataOption } from './data-option.ts';
import { reportFailure } from './failure-report.ts';
import { Progress } from './progress.ts';
import { addressTable } from './start-table.ts';

const DEFAULT_PORT = 8080;
const PORT_MAX = 65_535;
/** npm hands Ctrl-C on to a process that the terminal has told already: only a later one means "at once". */
const REPEATED_SIGNAL_AFTER_MS = 1_000;
const INTERRUPTED_EXIT_CODE = 130;

interface StartOptions {
  port: number;
  host: string;
  data: string;
  fresh: boolean;
  scale: Partial<Record<ProcessName, number>>;
}

export const command = new Command()
  .option('--port <number>', 'port of the REST edge', parsePort, DEFAULT_PORT)
  .option('--host <address>', 'address that the REST edge listens on', '127.0.0.1')
  .addOption(dataOption())
  .option('--fresh', 'forget all data first', false)
  .option('--scale <process=count>', 'run several instances, as enrollment=3; may be repeated', parseScale, {})
  .action(start);

async function start(options: StartOptions): Promise<void> {
  const progress = new Progress();
  const ending = endSignal(() => progress.show('Stopping…'));
  try {
    const startedAt = Date.now();
    const platform = await startPlatform({
      dataFolder: options.data,
      edgePort: options.port,
      edgeHost: options.host,
      scale: options.scale,
      fresh: options.fresh,
      onProgress: (line) => progress.show(line),
      onEvent: (line) => progress.say(`${new Date().toISOString()} ${line}`),
      signal: ending,
    });
    await serveUntil(ending, platform, startedAt, progress);
  } catch (failure) {
    progress.clear();
    process.exitCode = ending.aborted ? INTERRUPTED_EXIT_CODE : reportFailure(failure);
  }
  // Whatever is left that would keep this process alive, everything it started has ended.
  process.exit();
}

async function serveUntil(
  ending: AbortSignal,
  platform: Platform,
  startedAt: number,
  progress: Progress,
): Promise<void> {
  try {
    await firstStart(platform, progress);
    const table = addressTable(platform.record);
    progress.say(`${table}\n\nReady in ${secondsSince(startedAt)}. Ctrl-C stops everything.`);
    if (!ending.aborted) await new Promise((resolve) => ending.addEventListener('abort', resolve, { once: true }));
  } finally {
    await platform.stop();
    progress.clear();
  }
  progress.say('Everything has stopped; the data is kept.');
}

/** What a new platform gets before it is shown. */
async function firstStart(platform: Platform, progress: Progress): Promise<void> {
  const clients = await connect(platform.record);
  try {
    await loadCampusOnce(clients, () => progress.show('Loading the demo campus'));
  } finally {
    clients.close();
  }
}

/** Aborted by Ctrl-C, `kill` or a closed terminal. A second, later signal ends at once; the guards end the rest. */
function endSignal(onEnd: () => void): AbortSignal {
  const controller = new AbortController();
  let endedAt = 0;
  const end = () => {
    if (endedAt && Date.now() - endedAt > REPEATED_SIGNAL_AFTER_MS) process.exit(INTERRUPTED_EXIT_CODE);
    if (endedAt) return;
    endedAt = Date.now();
    onEnd();
    controller.abort(new PlatformError('Interrupted.'));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  return controller.signal;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= PORT_MAX) return port;
  throw new InvalidArgumentError(`a port is a whole number from 1 to ${PORT_MAX}.`);
}

function parseScale(text: string, before: Partial<Record<string, number>>): Partial<Record<string, number>> {
  const [, name, count] = /^([a-z]+)=(\d+)$/.exec(text) ?? [];
  if (name && count) return { ...before, [name]: Number(count) };
  throw new InvalidArgumentError('write it as enrollment=3.');
}
