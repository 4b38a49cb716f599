/** Writes the workflows' bundle to its output, and ends. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const FOLDER = dirname(fileURLToPath(import.meta.url));

const { code } = await bundleWorkflowCode({
  workflowsPath: join(FOLDER, 'sagas.ts'),
  workflowInterceptorModules: [join(FOLDER, 'trace-workflow.ts')],
  logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {}, log() {} },
});
process.stdout.write(code);
