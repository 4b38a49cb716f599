import { runService } from '#lib/service';
import { worker } from './worker.ts';

await runService(worker);
