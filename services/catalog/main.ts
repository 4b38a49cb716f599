import { runService } from '#lib/service';
import { catalog } from './catalog.ts';

await runService(catalog);
