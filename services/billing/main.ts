import { runService } from '#lib/service';
import { billing } from './billing.ts';

await runService(billing);
