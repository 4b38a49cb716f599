/** Temporal's own log lines, in our log. */
import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { Logger } from '#lib/log';

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'debug', WARN: 'warn', ERROR: 'error' } as const;

/** Once a process, before its first worker. */
export function logThrough(logger: Logger): void {
  const into = new DefaultLogger('INFO', ({ level, message, meta }) => {
    // A rule that says no is an answer; Temporal calls it a failed activity.
    const isAnswer = meta?.error instanceof Error && 'type' in meta.error && meta.error.type === 'Refusal';
    logger[isAnswer ? 'info' : LEVELS[level]](
      { ...meta, error: undefined, reason: String(meta?.error ?? '') },
      message,
    );
  });
  Runtime.install({ logger: into });
}
