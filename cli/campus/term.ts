import { create } from '@bufbuild/protobuf';
import { type TuitionRate, TuitionRateSchema } from '#proto/billing/v1/billing';
import { type Term, TermSchema } from '#proto/catalog/v1/catalog';

/** The demo campus's one term. */
export const term: Term = create(TermSchema, {
  id: 'SP27',
  name: 'Spring 2027',
  timeZone: 'America/Chicago',
  startsOn: '2027-01-25',
  endsOn: '2027-05-14',
  creditsMax: 18,
});

/** The last week of the term, Monday to Friday. */
export const finalsDates = ['2027-05-10', '2027-05-11', '2027-05-12', '2027-05-13', '2027-05-14'] as const;

export const CURRENCY = 'USD';

/** What a credit costs, and what a drop gives back. */
export const tuitionRate: TuitionRate = create(TuitionRateSchema, {
  termId: term.id,
  perCredit: { amount: 41_200n, currency: CURRENCY },
  timeZone: term.timeZone,
  refunds: [
    { until: '2027-02-05', percent: 100 },
    { until: '2027-02-19', percent: 75 },
    { until: '2027-03-05', percent: 50 },
    { until: '2027-03-26', percent: 25 },
  ],
});
