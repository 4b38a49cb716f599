/** Money between protobuf, whose amounts are 64 bits, and JSON, whose numbers are exact up to 2^53. */
import type { Money } from '#proto/money/v1/money';

/** Of nothing that is owed: an account without an entry, a section without a fee. */
export const CURRENCY_DEFAULT = 'USD';

export function toMoney({ amount, currency }: Pick<Money, 'amount' | 'currency'>): {
  amount: number;
  currency: string;
} {
  return { amount: Number(amount), currency };
}

export function fromMoney({ amount, currency }: { amount: number; currency: string }) {
  return { amount: BigInt(amount), currency };
}
