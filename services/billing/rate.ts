/** What a credit costs in a term, and what a drop gives back by the date of the drop. */
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { defineEntity, p } from '@mikro-orm/postgresql';
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
  if (!rate || rate.termId === '') throw malformed('a rate needs a term');
  const { perCredit, refunds } = rate;
  if (!perCredit || perCredit.amount < 0n || !/^[A-Z]{3}$/.test(perCredit.currency)) {
    throw malformed('a credit costs an amount that is not negative, in a currency such as USD');
  }
  if (refunds.length > STEPS_MAX) throw malformed(`a schedule has at most ${STEPS_MAX} steps`);
  for (const [index, { until, percent }] of refunds.entries()) {
    if (!isDate(until)) throw malformed(`"${until}" is not an ISO date`);
    if (until <= (refunds[index - 1]?.until ?? '')) throw malformed('the steps of a schedule ascend by date');
    if (percent < 0 || percent > 100) throw malformed('a percentage lies between 0 and 100');
  }
  if (!isTimeZone(rate.timeZone)) throw malformed(`"${rate.timeZone}" is not a time zone`);
  return rate;
}

function malformed(sentence: string): ConnectError {
  return new ConnectError(sentence, Code.InvalidArgument);
}

function isDate(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`);
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

function isTimeZone(name: string): boolean {
  try {
    return dateIn(name, new Date(0)) !== '' && name !== '';
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
