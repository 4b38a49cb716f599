/** How an HTTP/1 server ends. */
import type { Server } from 'node:http';

const SWEEP_MS = 50;

/**
 * Runs `close` and answers what is in flight. A connection whose last answer goes out meanwhile is kept alive and would hold the server until
 * its client leaves, more than a minute: it is closed here.
 */
export async function closeAnswering(server: Server, close: () => Promise<unknown>): Promise<void> {
  const sweeping = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  try {
    await close();
  } finally {
    clearInterval(sweeping);
  }
}
