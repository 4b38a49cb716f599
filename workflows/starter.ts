import { runService } from '#lib/service';
import { starter } from './saga-starter.ts';

await runService(starter);
