/** Chance that can be repeated: the same seed draws the same numbers. */

export interface Random {
  /** 0 ≤ number < 1. */
  next(): number;
  /** Whether something happens that happens in so many of a hundred cases. */
  happens(percent: number): boolean;
  /** One of them, each as often as it weighs. */
  weighted<T>(choices: readonly (readonly [T, number])[]): T;
}

export function randomFrom(seed: number): Random {
  const next = mulberry32(seed);
  return {
    next,
    happens: (percent) => next() * 100 < percent,
    weighted: (choices) => {
      let left = next() * choices.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [choice, weight] of choices) {
        left -= weight;
        if (left < 0) return choice;
      }
      const last = choices.at(-1);
      if (!last) throw new RangeError('there is nothing to choose from');
      return last[0];
    },
  };
}

/** https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
