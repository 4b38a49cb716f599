/** Materials: what is sold, and where its copies are. */
import { create } from '@bufbuild/protobuf';
import { defineEntity, type EntityManager, LockMode, p } from '@mikro-orm/postgresql';
import { invalid, isCurrency } from '#lib/argument';
import { type Material as MaterialMessage, MaterialSchema } from '#proto/bookstore/v1/material';
import type { Money } from '#proto/money/v1/money';

const ID_LENGTH_MAX = 100;
const NAME_LENGTH_MAX = 200;
const STOCK_MAX = 1_000_000;

const MaterialEntity = defineEntity({
  name: 'Material',
  tableName: 'materials',
  properties: {
    id: p.string().primary(),
    name: p.string(),
    priceAmount: p.bigint(),
    priceCurrency: p.string(),
    stock: p.integer(),
    reserved: p.integer(),
    issued: p.integer(),
    /** Everything ever put on the shelf: stock, reserved and issued together. */
    received: p.integer(),
    version: p.bigint(),
    removed: p.boolean(),
    /** What it was created with, by which a repeated creation is known. */
    createdAs: p.string(),
  },
});
export class Material extends MaterialEntity.class {
  toMessage(): MaterialMessage {
    const { id, name, stock, reserved, issued, version, removed } = this;
    const price = { amount: this.priceAmount, currency: this.priceCurrency };
    return create(MaterialSchema, { id, name, price, stock, reserved, issued, version, removed });
  }

  /** Copies leave the shelf for somebody who will fetch them. */
  reserve(quantity: number): void {
    this.stock -= quantity;
    this.reserved += quantity;
    this.version++;
  }

  release(quantity: number): void {
    this.reserve(-quantity);
  }

  /** Reserved copies go over the counter. */
  issue(quantity: number): void {
    this.reserved -= quantity;
    this.issued += quantity;
    this.version++;
  }

  /** Copies arrive or are written off, until this many stand on the shelf. */
  restock(stock: number): void {
    this.received += stock - this.stock;
    this.stock = stock;
  }
}
MaterialEntity.setClass(Material);

/** Locks materials in the order of their ids, so that two who want the same never wait for each other in a circle. */
export async function lockMaterials(em: EntityManager, ids: Iterable<string>): Promise<Map<string, Material>> {
  const materials = await em.find(
    Material,
    { id: { $in: [...ids] } },
    { lockMode: LockMode.PESSIMISTIC_WRITE, orderBy: { id: 'asc' } },
  );
  return new Map(materials.map((material) => [material.id, material]));
}

/** @throws INVALID_ARGUMENT */
export function materialIdOf(text: string): string {
  if (text === '' || text.length > ID_LENGTH_MAX)
    throw invalid('material_id', `must have 1 to ${ID_LENGTH_MAX} characters`);
  return text;
}

/** @throws INVALID_ARGUMENT */
export function nameOf(text: string): string {
  const name = text.trim();
  if (name === '' || name.length > NAME_LENGTH_MAX)
    throw invalid('name', `must have 1 to ${NAME_LENGTH_MAX} characters`);
  return name;
}

/** @throws INVALID_ARGUMENT */
export function priceOf(price: Money | undefined): { priceAmount: bigint; priceCurrency: string } {
  if (!price || price.amount < 0n || !isCurrency(price.currency))
    throw invalid('price', 'must be an amount of 0 or more and a currency of three capital letters');
  return { priceAmount: price.amount, priceCurrency: price.currency };
}

/** @throws INVALID_ARGUMENT */
export function stockOf(stock: number): number {
  if (stock < 0 || stock > STOCK_MAX) throw invalid('stock', `must be 0 to ${STOCK_MAX}`);
  return stock;
}
