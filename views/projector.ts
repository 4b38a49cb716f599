import { runService } from '#lib/service';
import { projector } from './projection.ts';

await runService(projector);
