import { runService } from '#lib/service';
import { records } from './records.ts';

await runService(records);
