import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChargeTuitionRequestSchema } from '#proto/billing/v1/service';
import { addUp, dropShare, priceOf, totalOf } from './price.ts';
import { newCharge, newChargeTotal, usd } from './testing.ts';

const prices = new Map([['book', usd(4_999n)]]);

test('a price is credits × rate, plus the fee, plus each material × its quantity', () => {
  const { lines, total, currency } = priceOf(newCharge().items, usd(30_001n), prices);

  expect(lines).toEqual([
    { sectionId: 'FA26-1', tuition: 120_004n, fee: 2_500n, materials: 9_998n },
    { sectionId: 'FA26-2', tuition: 60_002n, fee: 0n, materials: 0n },
  ]);
  expect({ total, currency }).toEqual({ total: newChargeTotal, currency: 'USD' });
});

test('a material without a price, and one of another currency, have no price here', () => {
  const { items } = newCharge();
  const euros = new Map([['book', { amount: 1n, currency: 'EUR' }]]);

  expect(() => priceOf(items, usd(1n), new Map())).toThrowError(
    expect.objectContaining({ reason: 'unknown-material' }),
  );
  expect(() => priceOf(items, usd(1n), euros)).toThrowError(expect.objectContaining({ reason: 'currency-mismatch' }));
});

test('nothing of nothing needs no currency', () => {
  const { items } = create(ChargeTuitionRequestSchema, {
    items: [{ sectionId: 'S', credits: 0, fee: { amount: 0n } }],
  });
  expect(priceOf(items, usd(0n), prices).total).toBe(0n);
});

test('what a drop gives back is rounded down to a minor unit, materials in full', () => {
  expect(dropShare({ tuition: 101n, fee: 100n, materials: 33n }, 50, false)).toEqual({
    tuition: 50n,
    fee: 50n,
    materials: 33n,
  });
});

const money = fc.bigInt({ min: 0n, max: 10n ** 12n });
const line = fc.record({ tuition: money, fee: money, materials: money });

test('no part of a line is ever given back beyond what it was charged, and all of it at 100 % but for materials that stay', () => {
  fc.assert(
    fc.property(line, fc.integer({ min: 0, max: 100 }), fc.boolean(), (charged, percent, keepsMaterials) => {
      const back = dropShare(charged, percent, keepsMaterials);
      for (const part of ['tuition', 'fee', 'materials'] as const) {
        expect(back[part]).toBeGreaterThanOrEqual(0n);
        expect(back[part]).toBeLessThanOrEqual(charged[part]);
      }
      expect(back.tuition + back.fee).toBe(((charged.tuition + charged.fee) * BigInt(percent)) / 100n);
      expect(back.materials).toBe(keepsMaterials ? 0n : charged.materials);
      if (percent === 100) expect(back).toMatchObject({ tuition: charged.tuition, fee: charged.fee });
    }),
  );
});

test('however a registration’s sections are dropped, the sum given back never exceeds its price', () => {
  const item = fc.record({ credits: fc.nat(30), fee: money, quantity: fc.nat(5) });
  fc.assert(
    fc.property(fc.array(fc.tuple(item, fc.integer({ min: 0, max: 100 })), { maxLength: 12 }), money, (drops, rate) => {
      const request = create(ChargeTuitionRequestSchema, {
        items: drops.map(([{ credits, fee, quantity }], index) => ({
          sectionId: String(index),
          credits,
          fee: usd(fee),
          materials: [{ materialId: 'book', quantity }],
        })),
      });
      const { lines, total } = priceOf(request.items, usd(rate), prices);
      const back = lines.map((priced, index) => dropShare(priced, drops[index]?.[1] ?? 0, false));
      expect(totalOf(addUp(lines))).toBe(total);
      expect(totalOf(addUp(back))).toBeLessThanOrEqual(total);
    }),
  );
});
