/** Seconds since a moment of `performance.now()`, to a tenth. */
export function secondsSince(startedAtMs: number): number {
  return Number(((performance.now() - startedAtMs) / 1_000).toFixed(1));
}
