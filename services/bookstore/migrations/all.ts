import { CreateMaterials20261121 } from './20261121-create-materials.ts';
import { KnowCompletedRegistrations20261121 } from './20261121-know-completed-registrations.ts';

export const migrations = [CreateMaterials20261121, KnowCompletedRegistrations20261121];
