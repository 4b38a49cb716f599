/** The bookstore's products: everybody with an account reads, staff write. */
import { randomUUID } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { Static } from 'typebox';
import type { Material as MaterialMessage } from '#proto/bookstore/v1/material';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { ask, present, READ_TIMEOUT_MS } from '../ask.ts';
import { changedMeanwhile, entityTag, isAborted, versionOf } from '../entity-tag.ts';
import { idempotencyKeyOf, idOfKey } from '../idempotency-key.ts';
import { fromMoney, toMoney } from '../money.ts';
import { decodeCursor, isText, pageFrom } from '../page.ts';
import type { EdgeParts } from '../parts.ts';
import { notFound } from '../problem.ts';
import {
  answers,
  changeHeaders,
  closed,
  createHeaders,
  empty,
  Id,
  PAGE_DEFAULT,
  pageQuery,
  ref,
} from '../schema/elements.ts';
import { Material, MaterialChange, MaterialPage, NewMaterial } from '../schema/material.ts';

const tags = ['materials'];
const staff = { access: ['staff'] } as const;
const params = closed({ id: Id });

export const materialRoutes: FastifyPluginAsyncTypebox<EdgeParts> = async (app, { clients }) => {
  const bookstore = clients.of(BookstoreService, 'bookstore');

  app.get(
    '/v1/materials',
    {
      schema: {
        tags,
        operationId: 'listMaterials',
        summary: 'The products, by id',
        querystring: closed(pageQuery),
        response: answers({ 200: ref(MaterialPage) }, 401),
      },
    },
    async ({ query: { limit = PAGE_DEFAULT, cursor } }, reply) => {
      const [afterId = ''] = decodeCursor(cursor, [isText]) ?? [];
      const { materials } = await ask(
        reply,
        'bookstore',
        (options) => bookstore.listMaterials({ limit: limit + 1, afterId }, options),
        READ_TIMEOUT_MS,
      );
      return pageFrom(materials, limit, { item: materialOf, key: ({ id }) => [id] });
    },
  );

  app.get(
    '/v1/materials/:id',
    {
      schema: {
        tags,
        operationId: 'getMaterial',
        summary: 'One product; its `ETag` is what a change may name',
        params,
        response: answers({ 200: ref(Material) }, 401, 404),
      },
    },
    async (request, reply) => {
      const materialId = request.params.id;
      const { material } = await ask(
        reply,
        'bookstore',
        (options) => bookstore.getMaterial({ materialId }, options),
        READ_TIMEOUT_MS,
      );
      const found = present('bookstore', material);
      if (found.removed) throw notFound('such material');
      return reply.header('etag', entityTag(found.version)).send(materialOf(found));
    },
  );

  app.post(
    '/v1/materials',
    {
      config: staff,
      schema: {
        tags,
        operationId: 'createMaterial',
        summary: 'Add a product',
        headers: createHeaders,
        body: ref(NewMaterial),
        response: answers({ 201: ref(Material) }, 401, 403, 422),
      },
    },
    async (request, reply) => {
      const { id, name, price, stock } = request.body;
      const key = idempotencyKeyOf(request);
      const materialId = id ?? (key ? idOfKey(request, key) : randomUUID());
      const wanted = { materialId, name, price: fromMoney(price), stock };
      const { material } = await ask(reply, 'bookstore', (options) => bookstore.createMaterial(wanted, options));
      const created = present('bookstore', material);
      reply.header('location', `/v1/materials/${encodeURIComponent(created.id)}`);
      return reply.code(201).header('etag', entityTag(created.version)).send(materialOf(created));
    },
  );

  app.patch(
    '/v1/materials/:id',
    {
      config: staff,
      schema: {
        tags,
        operationId: 'changeMaterial',
        summary: 'Change what is given',
        params,
        headers: changeHeaders,
        body: ref(MaterialChange),
        response: answers({ 200: ref(Material) }, 401, 403, 404, 412, 422),
      },
    },
    async (request, reply) => {
      const { name, price, stock } = request.body;
      const expectedVersion = versionOf(request.headers['if-match']);
      const change = {
        materialId: request.params.id,
        ...(name !== undefined && { name }),
        ...(price !== undefined && { price: fromMoney(price) }),
        ...(stock !== undefined && { stock }),
        ...(expectedVersion !== undefined && { expectedVersion }),
      };
      const { material } = await ask(reply, 'bookstore', (options) =>
        bookstore.updateMaterial(change, options).catch((error: unknown) => {
          throw expectedVersion !== undefined && isAborted(error) ? changedMeanwhile() : error;
        }),
      );
      const changed = present('bookstore', material);
      return reply.header('etag', entityTag(changed.version)).send(materialOf(changed));
    },
  );

  app.delete(
    '/v1/materials/:id',
    {
      config: staff,
      schema: {
        tags,
        operationId: 'removeMaterial',
        summary: 'Take a product off the list',
        params,
        response: answers({ 204: empty('removed') }, 401, 403, 404, 409),
      },
    },
    async (request, reply) => {
      const materialId = request.params.id;
      await ask(reply, 'bookstore', (options) => bookstore.removeMaterial({ materialId }, options));
      return reply.code(204).send(null);
    },
  );
};

function materialOf({ id, name, price, stock, reserved, issued }: MaterialMessage): Static<typeof Material> {
  return { id, name, price: toMoney(present('bookstore', price)), stock, reserved, issued };
}
