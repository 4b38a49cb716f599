/** Structured logs: one JSON line a fact, with the trace id of the request that caused it. */
import { type Logger, pino } from 'pino';
import { traceId } from './trace.ts';

export type { Logger } from 'pino';

/** Writes to standard output; whoever started the process keeps it. */
export function createLogger(name: string, level: string): Logger {
  return pino({
    name,
    level,
    mixin: () => {
      const id = traceId();
      return id ? { traceId: id } : {};
    },
    redact: [
      'password',
      'accessToken',
      'refreshToken',
      'paymentMethod',
      'req.headers.authorization',
      'req.headers.cookie',
    ],
  });
}
