import type { DropInput } from './input.ts';
import { type SagaEnd, saga } from './saga.ts';

/**
 * Settles drops: the seat went back when the drop was decided, so nothing here is undone, and every step goes on until it succeeds.
 * Workflow id: `drop/<registration id>`.
 */
export async function drop(registration: DropInput): Promise<SagaEnd> {
  return saga('dropped', async ({ untilDone }) => {
    await untilDone('recordDrop', (calls) => calls.recordDrop(registration));
    const keptSectionIds = await untilDone('returnMaterials', (calls) => calls.returnMaterials(registration));
    await untilDone('refundDrop', (calls) => calls.refundDrop(registration, keptSectionIds));
    await untilDone('finishDrops', (calls) => calls.finishDrops(registration));
  });
}
