/** The bookstore's products and their stock. */
import { defineEntity, p } from '@mikro-orm/postgresql';
import {
  MaterialChangedSchema,
  MaterialRemovedSchema,
  MaterialsIssuedSchema,
  MaterialsReleasedSchema,
  MaterialsReservedSchema,
} from '#proto/bookstore/v1/events';
import type { Material } from '#proto/bookstore/v1/material';
import type { Event } from '#proto/eventlog/v1/service';
import { factOf, keepNewest, type Projection, upsert } from './projection.ts';

const MaterialViewEntity = defineEntity({
  name: 'MaterialView',
  tableName: 'materials',
  properties: {
    id: p.string().primary(),
    name: p.string(),
    /** In minor units. */
    price: p.bigint('number'),
    currency: p.string(),
    /** On the shelf, neither reserved nor issued. */
    stock: p.integer(),
    reserved: p.integer(),
    issued: p.integer(),
    version: p.bigint(),
    /** No longer on the list; kept for those who have it. */
    removed: p.boolean(),
  },
});
export class MaterialView extends MaterialViewEntity.class {}
MaterialViewEntity.setClass(MaterialView);

export const materials: Projection = {
  source: 'bookstore',
  async apply(events, query) {
    const newest = new Map<string, Material>();
    for (const material of events.flatMap(materialsIn)) keepNewest(newest, material.id, material);
    const rows = [...newest.values()].map(({ id, name, price, stock, reserved, issued, version, removed }) => ({
      id,
      name,
      price: price?.amount ?? 0n,
      currency: price?.currency ?? '',
      stock,
      reserved,
      issued,
      version,
      removed,
    }));
    await upsert(query, { table: 'materials', key: ['id'], unlessOlder: true }, rows);
  },
};

function materialsIn(event: Event): Material[] {
  const one = (factOf(event, MaterialChangedSchema) ?? factOf(event, MaterialRemovedSchema))?.material;
  if (one) return [one];
  const many =
    factOf(event, MaterialsReservedSchema) ??
    factOf(event, MaterialsReleasedSchema) ??
    factOf(event, MaterialsIssuedSchema);
  return many?.materials ?? [];
}
