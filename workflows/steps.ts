/** How each kind of step is called: what it may take, and how often it is tried. */
import { isCancellation, type LocalActivityOptions, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import { isFault, isRefusal } from './failure.ts';
import type { EnrollInput } from './input.ts';
import type { Activities } from './worker/activities.ts';

const ATTEMPT_MS = 6_000;
/** The one that leaves our house: billing asks the payment provider. */
const CHARGE_ATTEMPT_MS = 20_000;
/** A provider that is well has answered by then. */
const CHARGE_QUICKLY_MS = 3_000;
const REMAINING_MIN_MS = 1_000;
/** Attempts of a step that must succeed before operators are told. */
const LASTING_ATTEMPTS_MAX = 8;
const QUICK_ATTEMPTS_MAX = 2;
/** Between two attempts that an operator has been told of. */
const ENDLESS_PAUSE = '1 minute';

/**
 * Longer pauses between attempts are timers. A local activity that pauses by itself keeps its workflow task, of which a worker has few, and
 * it forgets its deadline for good when that passes meanwhile.
 */
const LOCAL_PAUSE_MAX_MS = 1_000;

const backoff = {
  initialInterval: 200,
  backoffCoefficient: 2,
  maximumInterval: 10_000,
  nonRetryableErrorTypes: ['Fault'],
};

/** How our own services are asked. */
const asked: LocalActivityOptions = {
  startToCloseTimeout: ATTEMPT_MS,
  retry: backoff,
  localRetryThreshold: LOCAL_PAUSE_MAX_MS,
};

/** Forward steps until a moment. They are local activities: one workflow task for all, instead of one each. */
export function stepsUntil(deadlineAtMs: number) {
  const timeLeft = () => ({ scheduleToCloseTimeout: Math.max(deadlineAtMs - Date.now(), REMAINING_MIN_MS) });
  const local = proxyLocalActivities<Activities>({ ...asked, ...timeLeft() });
  const quickly = proxyLocalActivities<Activities>({
    startToCloseTimeout: CHARGE_QUICKLY_MS,
    retry: { maximumAttempts: 1 },
  });

  /** What the first attempt does not settle waits for the outside world: as an ordinary activity, whose attempts operators see. */
  async function chargeTuition(registration: EnrollInput): Promise<void> {
    try {
      await quickly.chargeTuition(registration);
    } catch (failure) {
      if (isCancellation(failure) || isRefusal(failure) || isFault(failure)) throw failure;
      const summary = 'charge tuition, fees and materials';
      const options = { startToCloseTimeout: CHARGE_ATTEMPT_MS, retry: backoff, summary, ...timeLeft() };
      await proxyActivities<Activities>(options).chargeTuition(registration);
    }
  }

  const { reserveSeats, reserveMaterials, recordEnrollment } = local;
  return { reserveSeats, chargeTuition, reserveMaterials, recordEnrollment };
}

/** The pivot, where all is well. */
export const quick = proxyLocalActivities<Activities>({
  ...asked,
  retry: { ...backoff, maximumAttempts: QUICK_ATTEMPTS_MAX },
});

/** Compensations, and steps that cannot be undone: as often as an outage of a minute may take. */
export const lasting = proxyActivities<Activities>({
  startToCloseTimeout: CHARGE_ATTEMPT_MS,
  retry: { ...backoff, maximumAttempts: LASTING_ATTEMPTS_MAX },
});

/** The same once an operator was told. Attempts of one activity add nothing to the workflow's history, which has an end. */
export const endless = proxyActivities<Activities>({
  startToCloseTimeout: CHARGE_ATTEMPT_MS,
  retry: { initialInterval: ENDLESS_PAUSE, backoffCoefficient: 1 },
});
