import { runService } from '#lib/service';
import { worker } from './saga-worker.ts';

await runService(worker);
