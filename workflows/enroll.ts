import type { EnrollInput } from './input.ts';
import { type SagaEnd, saga } from './saga.ts';
import { stepsUntil } from './steps.ts';

/** Carries a registration from reserved to enrolled across the services, or undoes all of it. Workflow id: `enroll/<registration id>`. */
export async function enroll(registration: EnrollInput): Promise<SagaEnd> {
  const deadlineAtMs = Date.now() + registration.deadlineMs;
  const steps = () => stepsUntil(deadlineAtMs);

  return saga('enrolled', async ({ undo, step, untilAnswered }) => {
    undo('releaseSeats', (calls, reason) => calls.releaseSeats(registration, reason));
    const { isConfirmed } = await step('reserveSeats', () => steps().reserveSeats(registration));
    // A worker that died after the pivot may have lost what it knew of it: then nothing is left to do, and nothing may be undone.
    if (isConfirmed) return;

    undo('refundTuition', (calls, reason) => calls.refundTuition(registration, reason));
    await step('chargeTuition', () => steps().chargeTuition(registration));

    if (registration.buyMaterials) {
      undo('releaseMaterials', (calls) => calls.releaseMaterials(registration));
      await step('reserveMaterials', () => steps().reserveMaterials(registration));
    }

    undo('withdrawEnrollment', (calls) => calls.withdrawEnrollment(registration));
    await step('recordEnrollment', () => steps().recordEnrollment(registration));

    // The pivot: once it has happened nothing is undone any more, and only its own refusal means that it did not.
    await untilAnswered('confirmSeats', (calls) => calls.confirmSeats(registration));
  });
}
