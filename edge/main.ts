import { readConfig } from '#lib/config';
import { runProcess } from '#lib/process';
import { startEdge } from './edge.ts';

await runProcess(() => startEdge(readConfig('edge')));
