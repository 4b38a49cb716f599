/** Writes the workflows' bundle to its output, and ends. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const WORKFLOWS = dirname(dirname(fileURLToPath(import.meta.url)));

const { code } = await bundleWorkflowCode({
  workflowsPath: join(WORKFLOWS, 'sagas.ts'),
  workflowInterceptorModules: [join(WORKFLOWS, 'trace-workflow.ts')],
  logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {}, log() {} },
});
process.stdout.write(code);
