import { runService } from '#lib/service';
import { identity } from './identity.ts';

await runService(identity);
