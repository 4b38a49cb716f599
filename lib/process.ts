/** The whole life of a process: starts, serves, and ends when it is told to, or when its supervisor is gone. */
import { ConfigError } from './config.ts';
import { onEnd } from './end.ts';

/** EX_CONFIG of sysexits.h: starting it again would not help. */
export const CONFIG_EXIT_CODE = 78;

export interface Running {
  address: string;
  stop(): Promise<void>;
}

/** Starts and tells the supervisor where; a faulty configuration is one sentence and {@link CONFIG_EXIT_CODE}. */
export async function runProcess(start: () => Promise<Running>): Promise<void> {
  const starting = Promise.try(start);
  // Before it has started: whoever is told to end meanwhile first gets there, and then ends in order.
  onEnd(async () => (await starting).stop());
  try {
    const { address } = await starting;
    // A supervisor that went meanwhile is met as the end, not as an error.
    process.send?.({ ready: address }, () => undefined);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(CONFIG_EXIT_CODE);
  }
}
