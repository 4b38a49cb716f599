import { inheritedEnvironment } from '#lib/config';
import { sentenceFor } from '../local/failure.ts';

const FAILED_EXIT_CODE = 1;

/** Tells a person what went wrong in one sentence, and answers the exit code. */
export function reportFailure(failure: unknown): number {
  console.error(sentenceFor(failure) ?? unexpected(failure));
  return FAILED_EXIT_CODE;
}

function unexpected(failure: unknown): string {
  if (inheritedEnvironment().LOG_LEVEL === 'debug' && failure instanceof Error) return failure.stack ?? failure.message;
  const message = failure instanceof Error ? failure.message : String(failure);
  return `Unexpected failure: ${message} (LOG_LEVEL=debug shows where).`;
}
