/** How long a person waits: for the platform, and for a real schedule. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Platform, type PlatformOptions, startPlatform } from '../../local/platform.ts';
import { loadCampusOnce } from '../campus/load.ts';
import { connect } from '../connect.ts';
import { secondsSince } from '../elapsed.ts';

const CHECKOUT = join(import.meta.dirname, '..', '..');
/** Beside the checkout, where it is there. */
const SCHEDULE_FOLDER = join(CHECKOUT, '..', 'shared', 'data', 'ucsd-fa24');
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/** Starts the platform as `npm start` does: it is ready once the demo campus is loaded. */
export async function startReady(options: PlatformOptions): Promise<{ platform: Platform; seconds: number }> {
  const startedAt = performance.now();
  const platform = await startPlatform(options);
  try {
    const clients = await connect(platform.record);
    await loadCampusOnce(clients);
    clients.close();
  } catch (failure) {
    await platform.stop();
    throw failure;
  }
  return { platform, seconds: secondsSince(startedAt) };
}

/** Seconds that the command takes; undefined where there is no real schedule. */
export async function importSchedule(dataFolder: string): Promise<number | undefined> {
  if (!existsSync(SCHEDULE_FOLDER)) return undefined;
  const startedAt = performance.now();
  const words = ['import', 'schedule', SCHEDULE_FOLDER, '--term', 'FA24', '--data', dataFolder, '--json'];
  const program = join(CHECKOUT, 'cli', 'registrar.ts');
  await promisify(execFile)(process.execPath, [program, ...words], { maxBuffer: OUTPUT_BYTES_MAX });
  return secondsSince(startedAt);
}
