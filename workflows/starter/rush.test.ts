import { expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { Rush } from './rush.ts';

const CROWD = 500;

/** How many of those who give way have passed. */
function passing(rush: Rush, waiting: number) {
  const leaving = new AbortController();
  const passed = { count: 0 };
  const turns = Array.from({ length: waiting }, () => rush.giveWay(leaving.signal).then(() => passed.count++));
  return { passed, turns, leave: () => leaving.abort() };
}

test('while few register sagas start at once, and ask rarely', async () => {
  let asked = 0;
  const rush = new Rush(async () => {
    asked++;
    return 5;
  });

  await Promise.all(passing(rush, 1_000).turns);

  expect(asked).toBeLessThan(10);
});

test('in a crowd they pass one after the other, and all of them once it is over', async () => {
  let undecided = CROWD;
  const { passed, turns } = passing(new Rush(async () => undecided), 1_000);

  await eventually(() => passed.count > 0, { what: 'a saga passing in the crowd' });
  expect(passed.count).toBeLessThan(1_000);
  undecided = 0;

  await Promise.all(turns);
});

test('who stops meanwhile waits no longer', async () => {
  const { turns, leave } = passing(new Rush(async () => CROWD), 100);
  leave();

  const ends = await Promise.allSettled(turns);

  expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
});

test('a service that cannot tell has no crowd', async () => {
  await Promise.all(passing(new Rush(() => Promise.reject(new Error('away'))), 100).turns);
});
