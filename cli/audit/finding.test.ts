import { expect, test } from 'vitest';
import { Tally } from './finding.ts';

test('a thing breaks an invariant once, whatever is wrong with it', () => {
  const tally = new Tally();
  tally.breach('a section', 'it is oversold');
  tally.breach('a section', 'its counter is wrong');

  expect(tally.finding('I1', 'something holds')).toMatchObject({
    breaches: 1,
    examples: [{ id: 'a section', sentence: 'it is oversold' }],
  });
});

test('a second look keeps what it sees just so, and forgets what has moved on', () => {
  const [first, second] = [new Tally(), new Tally()];
  for (const id of ['gone', 'moved', 'broken']) first.breach(id, 'it lacks 100');
  second.breach('moved', 'it lacks 50');
  second.breach('broken', 'it lacks 100');
  second.breach('new', 'it lacks 100');

  first.keepSeenBy(second);

  expect(first.finding('I6', 'something holds').examples).toEqual([{ id: 'broken', sentence: 'it lacks 100' }]);
});

test('twenty breaches are shown, and all are counted up to a thousand', () => {
  const tally = new Tally();
  for (let number = 0; number < 1_500; number++) tally.breach(String(number), 'it is wrong');

  const { breaches, examples } = tally.finding('I1', 'something holds');

  expect(breaches).toBe(1_000);
  expect(examples).toHaveLength(20);
});
