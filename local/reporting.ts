const EVERY_MS = 1_000;

/** Tells at once, and again each second until `body` has ended, what `line` says then; nothing where it says nothing. */
export async function reporting<T>(
  line: () => string | undefined,
  tell: ((line: string) => void) | undefined,
  body: () => Promise<T>,
): Promise<T> {
  const report = () => {
    const now = line();
    if (now !== undefined) tell?.(now);
  };
  report();
  const timer = setInterval(report, EVERY_MS);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}

/** As people read how long something took: `2.4 s`. */
export function secondsSince(startedAtMs: number): string {
  return `${((Date.now() - startedAtMs) / 1_000).toFixed(1)} s`;
}
