import { expect, test } from 'vitest';
import { LagClock } from './lag.ts';

test('a replica that has all the primary was seen to have is not behind, however long ago that was', () => {
  const clock = new LagClock();
  clock.sample(100n, 0);
  expect(clock.lagOf(100n, 60_000)).toEqual({ bytes: 0, seconds: 0 });
  expect(clock.lagOf(140n, 60_000)).toEqual({ bytes: 0, seconds: 0 });
});

test('a replica is behind since the primary first had what it lacks', () => {
  const clock = new LagClock();
  clock.sample(100n, 0);
  clock.sample(150n, 1_000);
  clock.sample(200n, 4_000);
  expect(clock.lagOf(100n, 5_000)).toEqual({ bytes: 100, seconds: 4 });
  expect(clock.lagOf(150n, 5_000)).toEqual({ bytes: 50, seconds: 1 });
});

test('nothing is known before the primary was seen', () => {
  expect(new LagClock().lagOf(1n, 0)).toEqual({ bytes: 0, seconds: 0 });
});

test('a replica that is behind beyond memory is still behind', () => {
  const clock = new LagClock();
  for (let second = 0; second < 2_000; second++) clock.sample(BigInt(second), second * 1_000);
  const { bytes, seconds } = clock.lagOf(0n, 2_000_000);
  expect(bytes).toBe(1_999);
  expect(seconds).toBeGreaterThan(500);
});
