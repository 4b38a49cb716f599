import { writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const AGAIN_MS = 150;
const ATTEMPTS_MAX = 60;

/**
 * Gives a child that leads a session less of the processors, as `nice`. Linux with autogroups (sched(7)) compares niceness only within a
 * session, and this child has one to itself: the session's own niceness counts.
 */
export async function lowerPriority(pid: number, niceness: number): Promise<void> {
  try {
    setPriority(pid, niceness);
    await lowerSession(pid, niceness);
  } catch {
    // It died meanwhile, and `exited` says so; or this kernel has no autogroups.
  }
}

/** Whoever is not root may change one session in a tenth of a second; the kernel tells the others to try again. */
async function lowerSession(pid: number, niceness: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      writeFileSync(`/proc/${pid}/autogroup`, String(niceness));
      return;
    } catch (failure) {
      const isTooOften = failure instanceof Error && 'code' in failure && failure.code === 'EAGAIN';
      if (!isTooOften || attempt >= ATTEMPTS_MAX) throw failure;
    }
    await sleep(AGAIN_MS, undefined, { ref: false });
  }
}
