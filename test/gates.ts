/** Gates before the steps of sagas: a saga waits at one until its test has done what it wants to happen at that very step. */
import type { Activities } from '../workflows/worker/activities.ts';

export type StepName = keyof Activities;

export interface Gate {
  /** Resolves when the saga is there. */
  reached: Promise<void>;
  /** Resolves when the step has failed once, with the error, after the gate was opened. */
  failed: Promise<unknown>;
  open(): void;
}

interface Watched extends Gate {
  opened: Promise<void>;
  onReached(): void;
  onFailed(error: unknown): void;
}

export class Gates {
  readonly #gates = new Map<string, Watched>();

  /** Before the registration is sent. */
  before(registrationId: string, step: StepName): Gate {
    const reached = Promise.withResolvers<void>();
    const failed = Promise.withResolvers<unknown>();
    const opened = Promise.withResolvers<void>();
    const gate = {
      reached: reached.promise,
      failed: failed.promise,
      opened: opened.promise,
      open: opened.resolve,
      onReached: reached.resolve,
      onFailed: failed.resolve,
    };
    this.#gates.set(keyOf(registrationId, step), gate);
    return gate;
  }

  /** The real activities, with the gates before them. */
  around(real: Activities): Activities {
    const gated = Object.entries(real).map(([name, activity]) => {
      const run = activity as (...parameters: unknown[]) => Promise<unknown>; // all take their input first
      return [
        name,
        async (input: { registrationId: string }, ...rest: unknown[]) => {
          const gate = this.#gates.get(keyOf(input.registrationId, name));
          gate?.onReached();
          await gate?.opened;
          try {
            return await run(input, ...rest);
          } catch (error) {
            gate?.onFailed(error);
            throw error;
          }
        },
      ];
    });
    return Object.fromEntries(gated) as Activities; // the same names
  }
}

function keyOf(registrationId: string, step: string): string {
  return `${step} of ${registrationId}`;
}
