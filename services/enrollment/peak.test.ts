import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { Peak } from './peak.ts';

test('a peak is remembered for a second at least, and forgotten after two', async () => {
  const peak = new Peak();
  peak.note(40);
  const notedAtMs = performance.now();
  peak.note(3);

  await sleep(500);
  const seen = peak.value;
  if (performance.now() - notedAtMs < 1_000) expect(seen).toBe(40);
  await eventually(() => peak.value < 40);
  expect(performance.now() - notedAtMs).toBeGreaterThan(1_000);
  await eventually(() => peak.value === 0);
});
