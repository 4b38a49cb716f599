/** How far replicas are behind the primary, in bytes, and in time: since when it has had what they lack. */

/** Longer than any lag that still needs telling apart. */
const SAMPLES_MAX = 600;
const SAMPLE_GAP_MS = 100;

export class LagClock {
  /** Where the primary was, oldest first. */
  readonly #samples: { atMs: number; lsn: bigint }[] = [];

  /** The primary was seen there. */
  sample(lsn: bigint, nowMs: number): void {
    const last = this.#samples.at(-1);
    if (last && (nowMs - last.atMs < SAMPLE_GAP_MS || last.lsn === lsn)) return;
    this.#samples.push({ atMs: nowMs, lsn });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** How much the primary is known to have beyond `lsn`, and for how long it has had the first of it. */
  lagOf(lsn: bigint, nowMs: number): { bytes: number; seconds: number } {
    const last = this.#samples.at(-1);
    if (!last || last.lsn <= lsn) return { bytes: 0, seconds: 0 };
    const missing = this.#samples.find((sample) => sample.lsn > lsn) ?? last;
    return { bytes: Number(last.lsn - lsn), seconds: (nowMs - missing.atMs) / 1000 };
  }
}
