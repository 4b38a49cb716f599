/** What a failed step says. */
import { ActivityFailure, ApplicationFailure, isCancellation } from '@temporalio/workflow';

/** What an activity failed of, where it is one that failed. */
export function causeOf(failure: unknown): unknown {
  return failure instanceof ActivityFailure ? (failure.cause ?? failure) : failure;
}

/** Whether a rule said no: then the step did not happen, and asking again changes nothing. */
export function isRefusal(failure: unknown): boolean {
  return isOfType(failure, 'Refusal');
}

/** Whether it is a mistake of ours: only other code would mend it. */
export function isFault(failure: unknown): boolean {
  return isOfType(failure, 'Fault');
}

export function sentenceOf(failure: unknown): string {
  const cause = causeOf(failure);
  return cause instanceof Error ? cause.message : String(cause);
}

/** A rule's own reason; `cancelled` where the student asked; else an outage that outlasted the saga's deadline. */
export function reasonOf(failure: unknown): string {
  if (isCancellation(failure)) return 'cancelled';
  const cause = causeOf(failure);
  if (cause instanceof ApplicationFailure && cause.type === 'Refusal') return String(cause.details?.[0]);
  return 'service-unavailable';
}

function isOfType(failure: unknown, type: string): boolean {
  const cause = causeOf(failure);
  return cause instanceof ApplicationFailure && cause.type === type;
}
