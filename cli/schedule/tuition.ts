import { create } from '@bufbuild/protobuf';
import { InvalidArgumentError } from 'commander';
import { type RefundStep, RefundStepSchema, type TuitionRate, TuitionRateSchema } from '#proto/billing/v1/billing';

/** What an operator may say about a term's tuition; the files do not. */
export interface TuitionWishes {
  /** In minor units. */
  tuitionPerCredit?: number;
  currency?: string;
  refund?: RefundStep[];
  timeZone?: string;
}

const CURRENCY_DEFAULT = 'USD';

/** The rate as it is, with what is wished; a new one costs nothing and gives nothing back. */
export function tuitionFrom(
  term: { id: string; timeZone: string },
  wishes: TuitionWishes,
  known: TuitionRate | undefined,
): TuitionRate {
  const { tuitionPerCredit, currency, refund, timeZone } = wishes;
  return create(TuitionRateSchema, {
    termId: term.id,
    perCredit: {
      amount: tuitionPerCredit === undefined ? (known?.perCredit?.amount ?? 0n) : BigInt(tuitionPerCredit),
      currency: currency ?? known?.perCredit?.currency ?? CURRENCY_DEFAULT,
    },
    refunds: refund ?? known?.refunds ?? [],
    timeZone: timeZone ?? known?.timeZone ?? term.timeZone,
  });
}

/** Reads one `<date>=<percent>` more; the schedule is in the order of its dates, however they were said. */
export function refundSteps(text: string, others: RefundStep[] = []): RefundStep[] {
  const [, until, percent] = /^(\d{4}-\d{2}-\d{2})=(\d{1,3})$/.exec(text) ?? [];
  if (!until || !percent) throw new InvalidArgumentError('write it as 2024-10-04=100.');
  const step = create(RefundStepSchema, { until, percent: Number(percent) });
  return [...others, step].sort((a, b) => (a.until < b.until ? -1 : 1));
}
