/** The whole mechanism of a saga: steps that announce their undo first, and undos that never give up. */
import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  defineSignal,
  isCancellation,
  setCurrentDetails,
  setHandler,
  TemporalFailure,
  upsertMemo,
  upsertSearchAttributes,
} from '@temporalio/workflow';

/** An operator asks that a stuck compensation is tried again now. */
export const retrySignal = defineSignal('retry');

export const outcomeAttribute = defineSearchAttributeKey('Outcome', 'KEYWORD');

/** How often a stuck compensation is tried again without anybody asking. */
const STUCK_RETRY_PAUSE = '1 minute';

export type Outcome = 'running' | 'enrolled' | 'dropped' | 'undone' | 'cancelled' | 'stuck';

export interface SagaEnd {
  outcome: Outcome;
  /** Refusal reason of what was undone; empty otherwise. */
  reason: string;
}

interface Compensation {
  name: string;
  run(reason: string): Promise<void>;
}

export interface Saga {
  /** Announces how to undo the step that follows. Before it, because a step that timed out may have happened. */
  undo(name: string, run: (reason: string) => Promise<void>): void;
  /** Runs a step under the name that people read in the Web UI. */
  step(name: string, run: () => Promise<void>): Promise<void>;
  /**
   * Runs the step that decides: once it has happened nothing is undone any more. So it is asked until it answers, whatever the deadline and
   * whoever cancels, and only its own refusal, which means that it did not happen, undoes the saga.
   */
  pivot(name: string, run: () => Promise<void>): Promise<void>;
  /** Runs a step that cannot be undone until it succeeds, however long that takes. */
  untilDone(name: string, run: () => Promise<void>): Promise<void>;
}

/**
 * Runs `body`. When it fails, undoes the steps it announced, newest first, and answers why. A compensation that keeps failing is shown to
 * operators (search attribute Outcome = stuck, memo `step` and `error`) and tried again for ever, or when they signal `retry`.
 */
export async function saga(outcome: Outcome, body: (saga: Saga) => Promise<void>): Promise<SagaEnd> {
  const compensations: Compensation[] = [];
  const board = new Board();
  let retryAsked = false;
  setHandler(retrySignal, () => {
    retryAsked = true;
  });

  async function untilDone(name: string, run: () => Promise<void>): Promise<void> {
    for (let isStuck = false; ; isStuck = true) {
      try {
        await board.show(name, run);
        if (isStuck) tell('running', { step: '', error: '' });
        return;
      } catch (failure) {
        if (isCancellation(failure)) throw failure;
        retryAsked = false;
        tell('stuck', { step: name, error: sentenceOf(failure) });
        await condition(() => retryAsked, STUCK_RETRY_PAUSE);
      }
    }
  }

  try {
    await body({
      undo: (name, run) => compensations.unshift({ name, run }),
      step: (name, run) => board.show(name, run),
      pivot: (name, run) => CancellationScope.nonCancellable(() => board.show(name, run)),
      untilDone,
    });
    return end(outcome, '');
  } catch (failure) {
    // A fault in this code is nobody's outcome: Temporal tries the workflow task again until it is mended.
    if (!(failure instanceof TemporalFailure)) throw failure;
    const reason = reasonOf(failure);
    await CancellationScope.nonCancellable(async () => {
      for (const { name, run } of compensations) await untilDone(name, () => run(reason));
    });
    return end(reason === 'cancelled' ? 'cancelled' : 'undone', reason);
  }
}

function end(outcome: Outcome, reason: string): SagaEnd {
  upsertSearchAttributes([{ key: outcomeAttribute, value: outcome }]);
  return { outcome, reason };
}

function tell(outcome: Outcome, memo: { step: string; error: string }): void {
  upsertSearchAttributes([{ key: outcomeAttribute, value: outcome }]);
  upsertMemo(memo);
}

/** The steps so far, as the Web UI shows them under "current details". */
class Board {
  readonly #lines: string[] = [];

  async show(name: string, run: () => Promise<void>): Promise<void> {
    const line = this.#lines.push(`- ⏳ ${name}`) - 1;
    this.#post();
    try {
      await run();
      this.#lines[line] = `- ✅ ${name}`;
    } catch (failure) {
      this.#lines[line] = `- ❌ ${name}: ${sentenceOf(failure)}`;
      throw failure;
    } finally {
      this.#post();
    }
  }

  #post(): void {
    setCurrentDetails(this.#lines.join('\n'));
  }
}

/** What an activity failed of, where it is one that failed. */
export function causeOf(failure: unknown): unknown {
  return failure instanceof ActivityFailure ? (failure.cause ?? failure) : failure;
}

function sentenceOf(failure: unknown): string {
  const cause = causeOf(failure);
  return cause instanceof Error ? cause.message : String(cause);
}

/** A rule's own reason; `cancelled` where the student asked; else an outage that outlasted the saga's deadline. */
function reasonOf(failure: unknown): string {
  if (isCancellation(failure)) return 'cancelled';
  const cause = causeOf(failure);
  if (cause instanceof ApplicationFailure && cause.type === 'Refusal') return String(cause.details?.[0]);
  return 'service-unavailable';
}
