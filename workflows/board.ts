/** What people see of a running saga: its steps in the Web UI, and its outcome in lists. */
import { defineSearchAttributeKey } from '@temporalio/common';
import { setCurrentDetails, upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import { sentenceOf } from './failure.ts';

export type Outcome = 'running' | 'enrolled' | 'dropped' | 'undone' | 'cancelled' | 'stuck';

const outcomeAttribute = defineSearchAttributeKey('Outcome', 'KEYWORD');

export class Board {
  readonly #lines: string[] = [];

  /** Shows a step, and how it ended, under "current details". */
  async show<T>(name: string, run: () => Promise<T>): Promise<T> {
    const line = this.#lines.push(`- ⏳ ${name}`) - 1;
    this.#post();
    try {
      const result = await run();
      this.#lines[line] = `- ✅ ${name}`;
      return result;
    } catch (failure) {
      this.#lines[line] = `- ❌ ${name}: ${sentenceOf(failure)}`;
      throw failure;
    } finally {
      this.#post();
    }
  }

  /** Lists the saga under another outcome (search attribute Outcome). */
  list(outcome: Outcome): void {
    upsertSearchAttributes([{ key: outcomeAttribute, value: outcome }]);
  }

  /** Lists it among the stuck ones, with what operators need to know (memo `step` and `error`). */
  listStuck(step: string, failure: unknown): void {
    this.list('stuck');
    upsertMemo({ step, error: sentenceOf(failure) });
  }

  listRunning(): void {
    this.list('running');
    upsertMemo({ step: '', error: '' });
  }

  #post(): void {
    setCurrentDetails(this.#lines.join('\n'));
  }
}
