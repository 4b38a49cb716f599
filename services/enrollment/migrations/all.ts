import { CreateEnrollment20261121 } from './20261121-create-enrollment.ts';

export const migrations = [CreateEnrollment20261121];
