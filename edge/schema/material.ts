import { Type } from 'typebox';
import { closed, Id, line, Money, Price, pageOf, ref } from './elements.ts';

const NAME_LENGTH_MAX = 200;
const STOCK_MAX = 1_000_000;

const Name = line({ minLength: 1, maxLength: NAME_LENGTH_MAX });
const Stock = Type.Integer({ minimum: 0, maximum: STOCK_MAX, description: 'on the shelf, not set aside' });

export const Material = Type.Object(
  {
    id: Id,
    name: Type.String(),
    price: ref(Money),
    stock: Type.Integer({ description: 'on the shelf, not set aside' }),
    reserved: Type.Integer({ description: 'set aside for registrations' }),
    issued: Type.Integer({ description: 'handed over' }),
  },
  { $id: 'Material' },
);

export const MaterialPage = pageOf(Material);

export const NewMaterial = closed(
  { id: Type.Optional(Id), name: Name, price: Price, stock: Stock },
  { $id: 'NewMaterial' },
);

export const MaterialChange = closed(
  { name: Type.Optional(Name), price: Type.Optional(Price), stock: Type.Optional(Stock) },
  { $id: 'MaterialChange' },
);

export const materialSchemas = [Material, MaterialPage, NewMaterial, MaterialChange];
