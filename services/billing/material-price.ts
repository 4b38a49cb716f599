/** What materials cost, as far as billing has heard. */
import type { Query } from '#lib/database';
import type { Money } from '#proto/money/v1/money';

/** The prices of these materials as billing knows them; a removed or unknown one is left out. */
export async function pricesOf(
  query: Query,
  materialIds: string[],
): Promise<Map<string, Pick<Money, 'amount' | 'currency'>>> {
  const rows = await query<{ material_id: string; price: string; currency: string }>(
    'select material_id, price, currency from material_prices where material_id = any($1) and not is_removed',
    [materialIds],
  );
  return new Map(
    rows.map(({ material_id, price, currency }) => [material_id, { amount: BigInt(price), currency }] as const),
  );
}
