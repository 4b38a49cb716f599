import { expect, test } from 'vitest';
import { Batcher, QueueFull } from './batcher.ts';
import { eventually } from './testing.ts';

/** A batcher whose batches end when they are told to. */
function heldBatcher(limits: { batchMax: number; inFlightMax: number; besideMin?: number; queueMax: number }) {
  const running: { items: number[]; end(): void }[] = [];
  const batcher = new Batcher<number, number>({
    ...limits,
    run: (items) =>
      new Promise((resolve) => {
        running.push({ items, end: () => resolve(items.map((item) => item * 10)) });
      }),
  });
  return { batcher, running };
}

test('what arrives in one turn shares a batch, no larger than its limit, and each gets its own answer', async () => {
  const sizes: number[] = [];
  const run = async (items: number[]) => items.map((item) => item * 10);
  const batcher = new Batcher({ batchMax: 3, inFlightMax: 9, queueMax: 99, run, onBatch: (size) => sizes.push(size) });

  const answers = await Promise.all([1, 2, 3, 4, 5, 6, 7].map((item) => batcher.submit(item)));

  expect(answers).toEqual([10, 20, 30, 40, 50, 60, 70]);
  expect(sizes).toEqual([3, 3, 1]);
});

test('no more batches run at once than allowed, and what waits meanwhile goes together', async () => {
  const { batcher, running } = heldBatcher({ batchMax: 10, inFlightMax: 1, queueMax: 99 });

  const first = batcher.submit(1);
  await eventually(() => running.length === 1);
  const others = [2, 3, 4].map((item) => batcher.submit(item));
  expect([batcher.inFlight, batcher.waiting]).toEqual([1, 3]);
  running[0]?.end();
  await first;
  await eventually(() => running.length === 2);

  expect(running[1]?.items).toEqual([2, 3, 4]);
  running[1]?.end();
  expect(await Promise.all(others)).toEqual([20, 30, 40]);
});

test('beside a batch that runs another one starts once it is worth it', async () => {
  const { batcher, running } = heldBatcher({ batchMax: 10, inFlightMax: 2, besideMin: 3, queueMax: 99 });
  const first = batcher.submit(1);
  await eventually(() => running.length === 1);

  const others = [batcher.submit(2), batcher.submit(3)];
  await new Promise(setImmediate);
  expect(running).toHaveLength(1);
  others.push(batcher.submit(4));
  await eventually(() => running.length === 2);

  expect(running[1]?.items).toEqual([2, 3, 4]);
  for (const { end } of running) end();
  expect(await Promise.all([first, ...others])).toEqual([10, 20, 30, 40]);
});

test('a full queue refuses at once, and takes more when it has emptied', async () => {
  const { batcher, running } = heldBatcher({ batchMax: 2, inFlightMax: 1, queueMax: 2 });
  const first = batcher.submit(1);
  await eventually(() => running.length === 1);
  const waiting = [batcher.submit(2), batcher.submit(3)];

  await expect(batcher.submit(4)).rejects.toBeInstanceOf(QueueFull);

  running[0]?.end();
  await first;
  await eventually(() => running.length === 2);
  const late = batcher.submit(5);
  running[1]?.end();
  await Promise.all(waiting);
  await eventually(() => running.length === 3);
  running[2]?.end();
  expect(await late).toBe(50);
});

test('an error as an answer fails its item alone, a thrown one fails the batch and not the next', async () => {
  const run = async (items: number[]) => {
    if (items.includes(13)) throw new Error('broken');
    return items.map((item) => (item < 0 ? new RangeError(`${item}`) : item));
  };
  const batcher = new Batcher({ batchMax: 9, inFlightMax: 1, queueMax: 9, run });

  const mixed = await Promise.allSettled([1, -1].map((item) => batcher.submit(item)));
  const broken = await Promise.allSettled([1, 13].map((item) => batcher.submit(item)));

  expect(mixed.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(broken.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await batcher.submit(2)).toBe(2);
});

test('an item whose answer is missing fails instead of waiting for ever', async () => {
  const batcher = new Batcher({
    batchMax: 9,
    inFlightMax: 1,
    queueMax: 9,
    run: async (items: number[]) => items.slice(1),
  });
  const answers = await Promise.allSettled([1, 2].map((item) => batcher.submit(item)));
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
});
