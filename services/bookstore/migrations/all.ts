import { CreateMaterials20261121 } from './20261121-create-materials.ts';

export const migrations = [CreateMaterials20261121];
