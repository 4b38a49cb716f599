import { runService } from '#lib/service';
import { projector } from './projector.ts';

await runService(projector);
