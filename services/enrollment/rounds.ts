/** Which requests may be decided together. */
import type { Ask } from './engine.ts';

/** Splits asks so that no student and no registration id is twice in a round, and keeps the order of each one's. */
export function rounds(asks: Ask[]): Ask[][] {
  const split: Ask[][] = [];
  /** By student and by registration id: should the two look alike, that costs a round and nothing else. */
  const next = new Map<string, number>();
  for (const ask of asks) {
    const { studentId, registrationId } = ask.request;
    const round = Math.max(next.get(studentId) ?? 0, next.get(registrationId) ?? 0);
    next.set(studentId, round + 1).set(registrationId, round + 1);
    split[round] ??= [];
    split[round].push(ask);
  }
  return split;
}
