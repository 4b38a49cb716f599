import { runService } from '#lib/service';
import { starter } from './starter.ts';

await runService(starter);
