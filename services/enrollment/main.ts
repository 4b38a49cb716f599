import { runService } from '#lib/service';
import { enrollment } from './enrollment.ts';

await runService(enrollment);
