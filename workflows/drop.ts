import type { DropInput } from './input.ts';
import { type SagaEnd, saga } from './saga.ts';
import { lasting } from './steps.ts';

/**
 * Settles drops: the seat went back when the drop was decided, so nothing here is undone, and every step goes on until it succeeds.
 * Workflow id: `drop/<registration id>`.
 */
export async function drop(registration: DropInput): Promise<SagaEnd> {
  return saga('dropped', async ({ untilDone }) => {
    await untilDone('recordDrop', () => lasting.recordDrop(registration));
    await untilDone('returnMaterials', () => lasting.returnMaterials(registration));
    await untilDone('refundDrop', () => lasting.refundDrop(registration));
    await untilDone('finishDrops', () => lasting.finishDrops(registration));
  });
}
