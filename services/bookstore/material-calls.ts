/** The calls with which staff keep the list of materials, and everybody reads it. */
import { Code, ConnectError, type ServiceImpl } from '@connectrpc/connect';
import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { pageLength } from '#lib/argument';
import { requireRole } from '#lib/caller';
import { Refusal } from '#lib/refusal';
import type { Parts } from '#lib/service';
import { MaterialChangedSchema, MaterialRemovedSchema } from '#proto/bookstore/v1/events';
import type { BookstoreService, CreateMaterialRequest } from '#proto/bookstore/v1/service';
import { Material, materialIdOf, nameOf, priceOf, stockOf } from './material.ts';

const PAGE = { max: 500, standard: 100 };

type MaterialCalls = Pick<
  ServiceImpl<typeof BookstoreService>,
  'createMaterial' | 'updateMaterial' | 'removeMaterial' | 'getMaterial' | 'listMaterials'
>;

export function materialCalls({ change, read }: Parts): MaterialCalls {
  return {
    async createMaterial(request, context) {
      requireRole(context, 'staff', 'system');
      const wanted = newMaterialOf(request);
      return change(context, async ({ em, emit }) => {
        const isNew = await insertOnce(em, wanted);
        const material = await em.findOneOrFail(Material, wanted.id);
        if (material.createdAs !== wanted.createdAs)
          throw new ConnectError('another material has this id', Code.AlreadyExists);
        if (isNew) emit(MaterialChangedSchema, material.id, { material: material.toMessage() });
        return { material: material.toMessage() };
      });
    },

    async updateMaterial({ materialId, name, price, stock, expectedVersion }, context) {
      requireRole(context, 'staff', 'system');
      return change(context, async ({ em, emit }) => {
        const material = await lockListed(em, materialId);
        if (expectedVersion !== undefined && expectedVersion !== material.version)
          throw new ConnectError('the material was changed meanwhile', Code.Aborted);
        if (name !== undefined) material.name = nameOf(name);
        if (price !== undefined) Object.assign(material, priceOf(price));
        if (stock !== undefined) material.restock(stockOf(stock));
        material.version++;
        emit(MaterialChangedSchema, materialId, { material: material.toMessage() });
        return { material: material.toMessage() };
      });
    },

    async removeMaterial({ materialId }, context) {
      requireRole(context, 'staff', 'system');
      return change(context, async ({ em, emit }) => {
        const material = await em.findOneOrFail(Material, materialId, { lockMode: LockMode.PESSIMISTIC_WRITE });
        if (material.removed) return {};
        if (material.reserved > 0)
          throw new Refusal(
            'material-reserved',
            `Students wait for ${material.reserved} of “${material.name}”.`,
            'Issue or release these copies first.',
          );
        material.removed = true;
        material.version++;
        emit(MaterialRemovedSchema, materialId, { material: material.toMessage() });
        return {};
      });
    },

    async getMaterial({ materialId }, context) {
      const material = await read(context, (em) => em.findOneOrFail(Material, { id: materialId, removed: false }));
      return { material: material.toMessage() };
    },

    async listMaterials({ limit, afterId }, context) {
      const page = { orderBy: { id: 'asc' }, limit: pageLength(limit, PAGE) } as const;
      const materials = await read(context, (em) => em.find(Material, { id: { $gt: afterId }, removed: false }, page));
      return { materials: materials.map((material) => material.toMessage()) };
    },
  };
}

function lockListed(em: EntityManager, id: string): Promise<Material> {
  return em.findOneOrFail(Material, { id, removed: false }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

function newMaterialOf({ materialId, name, price, stock }: CreateMaterialRequest) {
  const content = { name: nameOf(name), ...priceOf(price), stock: stockOf(stock) };
  const createdAs = JSON.stringify([content.name, String(content.priceAmount), content.priceCurrency, content.stock]);
  return { id: materialIdOf(materialId), ...content, createdAs };
}

/** False where the id was there already, also when another call brings it at this moment. */
async function insertOnce(em: EntityManager, material: ReturnType<typeof newMaterialOf>): Promise<boolean> {
  const { id, name, priceAmount, priceCurrency, stock, createdAs } = material;
  const inserted = await em.execute(
    `insert into materials (id, name, price_amount, price_currency, stock, reserved, issued, received, version, removed, created_as)
     values (?, ?, ?, ?, ?, 0, 0, ?, 1, false, ?) on conflict do nothing returning id`,
    [id, name, priceAmount, priceCurrency, stock, stock, createdAs],
  );
  return inserted.length > 0;
}
