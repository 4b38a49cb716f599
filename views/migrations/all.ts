import { CreateViews20261121 } from './20261121-create-views.ts';

export const migrations = [CreateViews20261121];
