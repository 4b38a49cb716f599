/** What a registration costs: pure arithmetic in minor units. */
import { Refusal } from '#lib/refusal';
import type { ChargeItem } from '#proto/billing/v1/service';
import type { Money } from '#proto/money/v1/money';

/** The three parts of a price, each with its own account in the ledger. */
export interface Amounts {
  tuition: bigint;
  fee: bigint;
  materials: bigint;
}

export interface PricedLine extends Amounts {
  sectionId: string;
}

export interface Price {
  lines: PricedLine[];
  total: bigint;
  currency: string;
}

type Amount = Pick<Money, 'amount' | 'currency'>;

/**
 * Prices every item: credits × rate, plus the fee, plus each material × its quantity.
 * @param prices of one copy, by material.
 * @throws Refusal `unknown-material`, `currency-mismatch`.
 */
export function priceOf(items: readonly ChargeItem[], perCredit: Amount, prices: ReadonlyMap<string, Amount>): Price {
  const { currency } = perCredit;
  const lines = items.map((item) => {
    const materials = item.materials.map(({ materialId, quantity }) => {
      const price = prices.get(materialId);
      if (!price) throw unknownMaterial(materialId);
      return BigInt(quantity) * amountIn(currency, price);
    });
    return {
      sectionId: item.sectionId,
      tuition: BigInt(item.credits) * perCredit.amount,
      fee: item.fee ? amountIn(currency, item.fee) : 0n,
      materials: sum(materials),
    };
  });
  return { lines, total: sum(lines.map(totalOf)), currency };
}

/** All parts together. */
export function totalOf({ tuition, fee, materials }: Amounts): bigint {
  return tuition + fee + materials;
}

/** Adds up part by part. */
export function addUp(all: readonly Amounts[]): Amounts {
  return {
    tuition: sum(all.map(({ tuition }) => tuition)),
    fee: sum(all.map(({ fee }) => fee)),
    materials: sum(all.map(({ materials }) => materials)),
  };
}

/**
 * What a dropped section gives back: a percentage of tuition and fee together, rounded down to a minor unit, and its materials in full
 * where the copies went back to the shelf.
 */
export function dropShare(line: Amounts, percent: number, keepsMaterials: boolean): Amounts {
  const both = ((line.tuition + line.fee) * BigInt(percent)) / 100n;
  const tuition = (line.tuition * BigInt(percent)) / 100n;
  return { tuition, fee: both - tuition, materials: keepsMaterials ? 0n : line.materials };
}

function amountIn(currency: string, money: Amount): bigint {
  if (money.amount !== 0n && money.currency !== currency) {
    throw new Refusal(
      'currency-mismatch',
      `A price in ${money.currency || 'no currency'} cannot be charged in a term of ${currency}.`,
      'Ask the registrar to correct the price.',
    );
  }
  return money.amount;
}

function unknownMaterial(materialId: string): Refusal {
  return new Refusal(
    'unknown-material',
    `The bookstore does not sell ${materialId}, so it has no price.`,
    'Register without materials, or ask the bookstore.',
  );
}

function sum(amounts: readonly bigint[]): bigint {
  return amounts.reduce((total, amount) => total + amount, 0n);
}
