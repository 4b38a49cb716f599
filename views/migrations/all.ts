import { CreateViews20261121 } from './20261121-create-views.ts';
import { ShowRefusedSteps20261121 } from './20261121-show-refused-steps.ts';
import { ShowSeatsLeft20261121 } from './20261121-show-seats-left.ts';

export const migrations = [CreateViews20261121, ShowRefusedSteps20261121, ShowSeatsLeft20261121];
