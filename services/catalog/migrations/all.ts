import { CreateCatalog20261121 } from './20261121-create-catalog.ts';

export const migrations = [CreateCatalog20261121];
