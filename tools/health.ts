/** Ends with 0 when the process there is healthy: `host:port` is asked over gRPC, a URL by a GET. */
import { grpcServes, httpAnswers } from '../local/readiness.ts';

const [target = ''] = process.argv.slice(2);
try {
  const isHealthy = target.startsWith('http') ? await httpAnswers(target) : await grpcServes(target);
  process.exitCode = isHealthy ? 0 : 1;
} catch (failure) {
  console.error(`${target} does not answer: ${failure}`);
  process.exitCode = 1;
}
