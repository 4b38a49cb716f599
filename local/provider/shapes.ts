import { Type } from 'typebox';
import { VOID_REFUND_KEY } from './book.ts';

const AMOUNT_MAX = 1_000_000_000_000;
const PAGE_MAX = 1_000;

const key = Type.String({ minLength: 1, maxLength: 200 });
const amount = Type.Integer({ minimum: 1, maximum: AMOUNT_MAX });
const params = Type.Object({ key });

export const postCharge = {
  body: Type.Object(
    {
      key,
      amount,
      currency: Type.String({ pattern: '^[A-Z]{3}$' }),
      card: Type.String({ minLength: 1, maxLength: 100 }),
      description: Type.String({ maxLength: 500 }),
    },
    { additionalProperties: false },
  ),
};

export const postRefund = {
  params,
  body: Type.Object(
    { key: Type.String({ minLength: 1, maxLength: 200, not: { const: VOID_REFUND_KEY } }), amount },
    { additionalProperties: false },
  ),
};

export const byKey = { params };

export const getBook = {
  querystring: Type.Object({
    cursor: Type.Optional(key),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_MAX })),
  }),
};

export const putMode = {
  body: Type.Object(
    { mode: Type.Union([Type.Literal('normal'), Type.Literal('slow'), Type.Literal('down')]) },
    { additionalProperties: false },
  ),
};
