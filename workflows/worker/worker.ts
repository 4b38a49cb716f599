/** The process that runs sagas: a Temporal worker, with the chassis around it for health, metrics and an orderly end. */
import { type CompiledWorkerOptions, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { globalHandlers } from '@temporalio/worker/lib/workflow/vm-shared.js';
import type { Parts, ServiceDefinition } from '#lib/service';
import { type Activities, createActivities } from './activities.ts';
import { workflowBundle } from './bundle.ts';
import { logThrough } from './temporal-log.ts';
import { tracedActivity } from './trace-activity.ts';

const CONNECT_RETRY_MS = 500;
const SHUTDOWN_GRACE = '5 seconds';
const CACHED_WORKFLOWS_MAX = 500;
const CONCURRENT_LOCAL_ACTIVITIES_MAX = 50;

export const worker: ServiceDefinition = {
  name: 'worker',
  build: async (parts) => {
    logThrough(parts.logger);
    const running = await startWorker(parts);
    return { services: [], routes: () => undefined, stop: running.stop };
  },
};

/** Temporal's worker without what it does to find mistakes in workflow code, which took half of its time: docs/decisions/011. */
class LeanWorker extends Worker {
  protected static override createWorkflowCreator(
    ...[bundle, options, logger]: Parameters<typeof Worker.createWorkflowCreator>
  ): ReturnType<typeof Worker.createWorkflowCreator> {
    // It would take a stack trace for every promise, and here it would look at those of the whole process.
    globalHandlers.installed = true;
    // Without a time limit a call into a workflow needs no thread that watches it, and with "debugMode" workflows share this thread.
    const { isolateExecutionTimeoutMs: _limit, ...unlimited } = options;
    const lean = { ...unlimited, debugMode: true } as CompiledWorkerOptions; // the limit is only handed on to node:vm
    return Worker.createWorkflowCreator(bundle, lean, logger);
  }
}

/** Connects to Temporal, waiting for it where it is away, and polls until stopped. */
export async function startWorker(
  { config, clients, logger }: Pick<Parts, 'config' | 'clients' | 'logger'>,
  activities: Activities = createActivities(clients),
): Promise<{ stop(): Promise<void> }> {
  const bundle = await workflowBundle(config.workflowBundleFile);
  const connection = await connect(config.temporal.address, (reason) =>
    logger.warn({ reason }, 'waiting for Temporal'),
  );
  const temporal = await LeanWorker.create({
    connection,
    namespace: config.temporal.namespace,
    taskQueue: config.temporal.taskQueue,
    workflowBundle: bundle,
    activities,
    interceptors: { activity: [tracedActivity] },
    workflowTaskPollerBehavior: { type: 'autoscaling' },
    activityTaskPollerBehavior: { type: 'autoscaling' },
    maxConcurrentLocalActivityExecutions: CONCURRENT_LOCAL_ACTIVITIES_MAX,
    maxCachedWorkflows: CACHED_WORKFLOWS_MAX,
    shutdownGraceTime: SHUTDOWN_GRACE,
  });
  const run = temporal.run();
  run.catch((error: unknown) => {
    // Without its worker this process is of no use; whoever supervises it starts another.
    logger.fatal({ err: error }, 'the worker ended');
    process.exit(1);
  });
  return {
    stop: async () => {
      temporal.shutdown();
      await run;
      await connection.close();
      await Runtime._instance?.shutdown();
    },
  };
}

async function connect(address: string, onRetry: (reason: string) => void): Promise<NativeConnection> {
  for (;;) {
    try {
      return await NativeConnection.connect({ address });
    } catch (error) {
      onRetry(String(error));
      await new Promise((resolve) => setTimeout(resolve, CONNECT_RETRY_MS));
    }
  }
}
