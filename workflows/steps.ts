/** How each kind of step is called: what it may take, and how often it is tried. */
import {
  type ActivityOptions,
  type LocalActivityOptions,
  proxyActivities,
  proxyLocalActivities,
} from '@temporalio/workflow';
import type { Activities } from './activities.ts';

const ATTEMPT_MS = 6_000;
/** The one that leaves our house: billing asks the payment provider. */
const CHARGE_ATTEMPT_MS = 20_000;
const REMAINING_MIN_MS = 1_000;
/** Attempts of a compensation before operators are told; then it begins again. */
const UNDO_ATTEMPTS_MAX = 8;

/**
 * Longer pauses between attempts are timers. A local activity that pauses by itself keeps its workflow task, of which a worker has few, and
 * it forgets its deadline for good when that passes meanwhile.
 */
const LOCAL_PAUSE_MAX_MS = 1_000;

const backoff = { initialInterval: 200, backoffCoefficient: 2, maximumInterval: 10_000 } as const;

/** How our own services are asked. */
const asked: LocalActivityOptions = {
  startToCloseTimeout: ATTEMPT_MS,
  retry: backoff,
  localRetryThreshold: LOCAL_PAUSE_MAX_MS,
};

/**
 * Forward steps until a moment. Those that only talk to our own services are local activities: one workflow task instead of one a step.
 * Charging is an ordinary activity: it waits for the outside world, and operators see its attempts in the Web UI.
 */
export function stepsUntil(deadlineAtMs: number) {
  const scheduleToCloseTimeout = Math.max(deadlineAtMs - Date.now(), REMAINING_MIN_MS);
  const local: LocalActivityOptions = { ...asked, scheduleToCloseTimeout };
  const charging: ActivityOptions = { startToCloseTimeout: CHARGE_ATTEMPT_MS, scheduleToCloseTimeout, retry: backoff };
  const { chargeTuition } = proxyActivities<Activities>({ ...charging, summary: 'charge tuition, fees and materials' });
  const { reserveSeats, reserveMaterials, recordEnrollment } = proxyLocalActivities<Activities>(local);
  return { reserveSeats, chargeTuition, reserveMaterials, recordEnrollment };
}

/** The step after which nothing is undone: asked until it answers. */
export const decisive = proxyLocalActivities<Activities>(asked);

/** Compensations, and steps that cannot be undone. */
export const lasting = proxyActivities<Activities>({
  startToCloseTimeout: CHARGE_ATTEMPT_MS,
  retry: { ...backoff, maximumAttempts: UNDO_ATTEMPTS_MAX },
});
