/** What a credit costs in a term, and what a drop gives back by the date of the drop. */
import { create } from '@bufbuild/protobuf';
import { defineEntity, p } from '@mikro-orm/postgresql';
import { invalid, isCurrency, isDate, isTimeZone } from '#lib/argument';
import type { Query } from '#lib/database';
import { dateIn } from '#lib/local-date';
import { type TuitionRate as TuitionRateMessage, TuitionRateSchema } from '#proto/billing/v1/billing';

const STEPS_MAX = 50;

interface Step {
  until: string;
  percent: number;
}

const TuitionRateEntity = defineEntity({
  name: 'TuitionRate',
  tableName: 'tuition_rates',
  properties: {
    termId: p.string().primary(),
    perCredit: p.bigint(),
    currency: p.string(),
    refunds: p.json<Step[]>(),
    timeZone: p.string(),
  },
});
export class TuitionRate extends TuitionRateEntity.class {
  /** What a drop at that instant gives back, 0–100, by the date it is on campus. */
  percentAt(at: Date): number {
    const date = dateIn(this.timeZone, at);
    return this.refunds.find(({ until }) => date <= until)?.percent ?? 0;
  }

  toMessage(): TuitionRateMessage {
    const { termId, perCredit: amount, currency, refunds, timeZone } = this;
    return create(TuitionRateSchema, { termId, perCredit: { amount, currency }, refunds, timeZone });
  }
}
TuitionRateEntity.setClass(TuitionRate);

/** What a credit costs in a term; undefined where nobody has said. */
export async function readPerCredit(
  query: Query,
  termId: string,
): Promise<{ amount: bigint; currency: string } | undefined> {
  const [rate] = await query<{ per_credit: string; currency: string }>(
    'select per_credit, currency from tuition_rates where term_id = $1',
    [termId],
  );
  return rate && { amount: BigInt(rate.per_credit), currency: rate.currency };
}

/** Writes the rate. @returns whether anything changed. */
export async function writeRate(query: Query, rate: TuitionRateMessage): Promise<boolean> {
  const { termId, perCredit, refunds, timeZone } = create(TuitionRateSchema, rate);
  const steps = refunds.map(({ until, percent }) => ({ until, percent }));
  const changed = await query(
    `insert into tuition_rates as r (term_id, per_credit, currency, refunds, time_zone) values ($1, $2, $3, $4, $5)
     on conflict (term_id) do update set per_credit = excluded.per_credit, currency = excluded.currency,
       refunds = excluded.refunds, time_zone = excluded.time_zone
     where (r.per_credit, r.currency, r.refunds, r.time_zone)
       is distinct from (excluded.per_credit, excluded.currency, excluded.refunds, excluded.time_zone)
     returning term_id`,
    [termId, perCredit?.amount, perCredit?.currency, JSON.stringify(steps), timeZone],
  );
  return changed.length > 0;
}

/** @throws INVALID_ARGUMENT naming what is wrong. */
export function checkRate(rate: TuitionRateMessage | undefined): TuitionRateMessage {
  if (!rate || rate.termId === '') throw invalid('term_id', 'must be set');
  const { perCredit, refunds } = rate;
  if (!perCredit || perCredit.amount < 0n || !isCurrency(perCredit.currency))
    throw invalid('per_credit', 'must be an amount of 0 or more and a currency of three capital letters');
  if (refunds.length > STEPS_MAX) throw invalid('refunds', `must have at most ${STEPS_MAX} steps`);
  for (const [index, { until, percent }] of refunds.entries()) {
    if (!isDate(until)) throw invalid('refunds', `must have dates, and "${until}" is none`);
    if (until <= (refunds[index - 1]?.until ?? '')) throw invalid('refunds', 'must ascend by date');
    if (percent < 0 || percent > 100) throw invalid('refunds', 'must give back 0 to 100 percent');
  }
  if (!isTimeZone(rate.timeZone)) throw invalid('time_zone', `must be an IANA name, and "${rate.timeZone}" is none`);
  return rate;
}
