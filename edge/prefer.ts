/** `Prefer: wait=<seconds>` (RFC 7240): answer a command when what it began has ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import { headerOf } from './header.ts';

const WAIT_MAX_SECONDS = 30;
const POLL_FIRST_MS = 50;
const POLL_MAX_MS = 500;
const WAIT = /(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])/i;

/** Seconds, at most {@link WAIT_MAX_SECONDS}; 0 where the client would not wait. */
export function waitSecondsOf(reply: FastifyReply): number {
  const seconds = Number(WAIT.exec(headerOf(reply.request, 'prefer') ?? '')?.[1] ?? 0);
  return Math.min(seconds, WAIT_MAX_SECONDS);
}

/**
 * Asks again and again until there is an answer, the client's time is over, or `closing` is: who shuts down keeps nobody waiting.
 * @param ask answers undefined while there is nothing to say yet.
 */
export async function waitFor<T>(
  reply: FastifyReply,
  closing: AbortSignal,
  ask: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const seconds = waitSecondsOf(reply);
  if (seconds === 0) return undefined;
  reply.header('preference-applied', `wait=${seconds}`);
  const giveUpAtMs = performance.now() + seconds * 1000;
  for (let pauseMs = POLL_FIRST_MS; performance.now() < giveUpAtMs; pauseMs = Math.min(pauseMs * 2, POLL_MAX_MS)) {
    if (reply.raw.destroyed || closing.aborted) return undefined;
    const answer = await ask();
    if (answer !== undefined) return answer;
    // An abort ends the pause early, and the next turn of the loop sees it.
    await sleep(Math.min(pauseMs, Math.max(0, giveUpAtMs - performance.now())), undefined, { signal: closing }).catch(
      () => undefined,
    );
  }
  return undefined;
}
