/** A process of the platform, for tests that kill one. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { inheritedEnvironment } from '#lib/config';

const CHECKOUT = join(import.meta.dirname, '..');

export interface Process {
  /** Ends it in the middle of whatever it does. */
  kill(): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
}

/**
 * Starts an entry point as the local platform does, and answers when it serves.
 * @param entry file in the checkout. @param environment variables of lib/config.ts.
 */
export async function startProcess(entry: string, environment: Record<string, string>): Promise<Process> {
  const child = fork(join(CHECKOUT, entry), {
    env: { ...inheritedEnvironment(), ...environment },
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let words = '';
  child.stderr?.on('data', (chunk) => {
    words += chunk;
  });
  const exited = once(child, 'exit');
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    await exited;
  };
  const outcome = await Promise.race([once(child, 'message').then(() => 'ready'), exited.then(() => 'ended')]);
  if (outcome === 'ended') throw new Error(`${entry} ended before it served: ${words}`);
  return { kill: () => end('SIGKILL'), stop: () => end('SIGTERM') };
}
