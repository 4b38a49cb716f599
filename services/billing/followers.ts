/** What billing learns from the bookstore: the price of every material. */
import type { Query } from '#lib/database';
import { Follower, read } from '#lib/follower';
import type { Parts } from '#lib/service';
import {
  MaterialChangedSchema,
  MaterialRemovedSchema,
  MaterialsIssuedSchema,
  MaterialsReleasedSchema,
  MaterialsReservedSchema,
} from '#proto/bookstore/v1/events';
import type { Material } from '#proto/bookstore/v1/material';
import { type Event, EventLogService } from '#proto/eventlog/v1/service';

export function followMaterialPrices({ clients, database, logger }: Parts): Follower {
  const log = clients.of(EventLogService, 'bookstore');
  return new Follower({ source: 'bookstore', log, pool: database.pool, logger, apply: copyPrices });
}

async function copyPrices(events: Event[], query: Query): Promise<void> {
  // One row must not be written twice by a statement; the log is in order, so the last one is the newest.
  const newest = new Map(events.flatMap(materialsOf).map((material) => [material.id, material]));
  if (newest.size === 0) return;
  const materials = [...newest.values()];
  await query(
    `insert into material_prices (material_id, price, currency, is_removed)
     select * from unnest($1::text[], $2::bigint[], $3::text[], $4::boolean[])
     on conflict (material_id) do update
       set price = excluded.price, currency = excluded.currency, is_removed = excluded.is_removed`,
    [
      materials.map(({ id }) => id),
      materials.map(({ price }) => price?.amount ?? 0n),
      materials.map(({ price }) => price?.currency ?? ''),
      materials.map(({ removed }) => removed),
    ],
  );
}

function materialsOf(event: Event): Material[] {
  const removed = read(event, MaterialRemovedSchema)?.material;
  if (removed) return [{ ...removed, removed: true }];
  const changed = read(event, MaterialChangedSchema)?.material;
  if (changed) return [changed];
  const touched =
    read(event, MaterialsReservedSchema) ?? read(event, MaterialsReleasedSchema) ?? read(event, MaterialsIssuedSchema);
  return touched?.materials ?? [];
}
