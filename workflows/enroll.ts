import type { EnrollInput } from './input.ts';
import { type SagaEnd, saga } from './saga.ts';
import { decisive, lasting, stepsUntil } from './steps.ts';

/** Carries a registration from reserved to enrolled across the services, or undoes all of it. Workflow id: `enroll/<registration id>`. */
export async function enroll(registration: EnrollInput): Promise<SagaEnd> {
  const deadlineAtMs = Date.now() + registration.deadlineMs;
  const steps = () => stepsUntil(deadlineAtMs);

  return saga('enrolled', async ({ undo, step, pivot }) => {
    undo('releaseSeats', (reason) => lasting.releaseSeats(registration, reason));
    await step('reserveSeats', () => steps().reserveSeats(registration));

    undo('refundTuition', (reason) => lasting.refundTuition(registration, reason));
    await step('chargeTuition', () => steps().chargeTuition(registration));

    if (registration.buyMaterials) {
      undo('releaseMaterials', () => lasting.releaseMaterials(registration));
      await step('reserveMaterials', () => steps().reserveMaterials(registration));
    }

    undo('withdrawEnrollment', () => lasting.withdrawEnrollment(registration));
    await step('recordEnrollment', () => steps().recordEnrollment(registration));

    await pivot('confirmSeats', () => decisive.confirmSeats(registration));
  });
}
