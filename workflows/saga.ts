/** The whole mechanism of a saga: steps that announce their undo first, and undos that never give up. */
import { TemporalFailure } from '@temporalio/workflow';
import { Board, type Outcome } from './board.ts';
import { reasonOf } from './failure.ts';
import { Persistence, type Step } from './persistence.ts';
import type { Activities } from './worker/activities.ts';

export interface SagaEnd {
  outcome: Outcome;
  /** Refusal reason of what was undone; empty otherwise. */
  reason: string;
}

interface Compensation {
  name: string;
  run(calls: Activities, reason: string): Promise<unknown>;
}

export interface Saga {
  /** Announces how to undo the step that follows. Before it, because a step that timed out may have happened. */
  undo(name: string, run: Compensation['run']): void;
  /** Runs a step under the name that people read in the Web UI. */
  step<T>(name: string, run: () => Promise<T>): Promise<T>;
  /** Runs a step until it succeeds or is refused, whatever the deadline and whoever cancels. @throws its refusal */
  untilAnswered<T>(name: string, step: Step<T>): Promise<T>;
  /** Runs a step that cannot be undone until it succeeds, however long that takes. */
  untilDone<T>(name: string, step: Step<T>): Promise<T>;
}

/**
 * Runs `body`. When it fails, undoes the steps it announced, newest first, and answers why. A compensation that keeps failing is shown to
 * operators and tried again for ever, and at once when they signal `retry`.
 */
export async function saga(outcome: Outcome, body: (saga: Saga) => Promise<void>): Promise<SagaEnd> {
  const compensations: Compensation[] = [];
  const board = new Board();
  const persistence = new Persistence(board);
  const end = (outcome: Outcome, reason: string): SagaEnd => {
    board.list(outcome);
    return { outcome, reason };
  };
  try {
    await body({
      undo: (name, run) => compensations.unshift({ name, run }),
      step: (name, run) => board.show(name, run),
      untilAnswered: (name, step) => persistence.untilAnswered(name, step),
      untilDone: (name, step) => persistence.untilDone(name, step),
    });
    return end(outcome, '');
  } catch (failure) {
    // A fault in this code is nobody's outcome: Temporal tries the workflow task again until it is mended.
    if (!(failure instanceof TemporalFailure)) throw failure;
    const reason = reasonOf(failure);
    for (const { name, run } of compensations) await persistence.untilDone(name, (calls) => run(calls, reason));
    return end(reason === 'cancelled' ? 'cancelled' : 'undone', reason);
  }
}
