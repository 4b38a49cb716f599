import { ConfigError, readConfig } from '#lib/config';
import { onEnd } from '#lib/end';
import { type RunningEdge, startEdge } from './edge.ts';

let edge: RunningEdge;
try {
  edge = await startEdge(readConfig('edge'));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(78); // EX_CONFIG of sysexits.h
}
process.send?.({ ready: edge.address });
onEnd(() => edge.stop());
