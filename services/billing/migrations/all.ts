import { CreateBilling20261121 } from './20261121-create-billing.ts';

export const migrations = [CreateBilling20261121];
