/** Steps that must succeed, whoever cancels and however long it takes. */
import { CancellationScope, condition, defineSignal, setHandler } from '@temporalio/workflow';
import type { Board } from './board.ts';
import { isRefusal } from './failure.ts';
import { endless, lasting, quick } from './steps.ts';
import type { Activities } from './worker/activities.ts';

/** An operator asks that a stuck step is tried again now. */
export const retrySignal = defineSignal('retry');

/** One step, by the calls it is handed: they differ in how often they ask. */
export type Step<T> = (calls: Activities) => Promise<T>;

interface Course {
  /** Before operators are told; from then on it goes on without an end. */
  first: Activities;
  /** Where the first did not succeed. */
  next?: Activities;
  /** A failure that is an answer: it is thrown. */
  isAnswer(failure: unknown): boolean;
}

export class Persistence {
  readonly #board: Board;
  #retryAsked = false;

  constructor(board: Board) {
    this.#board = board;
    setHandler(retrySignal, () => {
      this.#retryAsked = true;
    });
  }

  /** Runs a step until it succeeds. */
  untilDone<T>(name: string, step: Step<T>): Promise<T> {
    return this.#run(name, step, { first: lasting, isAnswer: () => false });
  }

  /** Runs a step until it succeeds or is refused; locally first, which is quick where all is well. @throws its refusal */
  untilAnswered<T>(name: string, step: Step<T>): Promise<T> {
    return this.#run(name, step, { first: quick, next: lasting, isAnswer: isRefusal });
  }

  #run<T>(name: string, step: Step<T>, course: Course): Promise<T> {
    return CancellationScope.nonCancellable(async () => {
      for (;;) {
        try {
          return await this.#board.show(name, () => inTurn(step, course));
        } catch (failure) {
          if (course.isAnswer(failure)) throw failure;
          this.#board.listStuck(name, failure);
        }
        const end = await this.#untilDoneOrAsked(name, step, course);
        this.#board.listRunning();
        if (end !== 'asked') return end.result;
      }
    });
  }

  /** @returns `asked` where an operator wants another round first. */
  async #untilDoneOrAsked<T>(name: string, step: Step<T>, { isAnswer }: Course): Promise<{ result: T } | 'asked'> {
    this.#retryAsked = false;
    const asked = condition(() => this.#retryAsked).then(() => 'asked' as const);
    const attempts = new CancellationScope();
    const done = attempts
      .run(() => this.#board.show(name, () => step(endless)))
      .then(
        (result) => ({ result }),
        (failure) => {
          if (isAnswer(failure)) throw failure;
          return asked; // only a refusal ends these attempts, and somebody has to look why
        },
      );
    const end = await Promise.race([done, asked]);
    if (end === 'asked') attempts.cancel();
    return end;
  }
}

async function inTurn<T>(step: Step<T>, { first, next, isAnswer }: Course): Promise<T> {
  try {
    return await step(first);
  } catch (failure) {
    if (!next || isAnswer(failure)) throw failure;
    return step(next);
  }
}
