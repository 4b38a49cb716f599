import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventLogService, type FollowResponse } from '#proto/eventlog/v1/service';
import { bare, happen } from './bare.testing.ts';
import { append } from './event-log.ts';
import { type ServiceUnderTest, startForTest } from './testing.ts';

let service: ServiceUnderTest;

beforeEach(async () => {
  service = await startForTest(bare);
});
afterEach(() => service.stop());

/** The first messages of a stream. */
async function follow(afterPosition: bigint, count: number): Promise<FollowResponse[]> {
  const messages: FollowResponse[] = [];
  for await (const message of service.client(EventLogService).follow({ afterPosition })) {
    messages.push(message);
    if (messages.length === count) break;
  }
  return messages;
}

test('who follows from the beginning is told at once where the log ends, also by an instance that has just started', async () => {
  const event = { type: 'test.Happened', subject: 'a', actor: 'tester', traceparent: '', json: '{}' };
  await append(service.parts.database.query, Array(700).fill(event));

  const messages = await follow(0n, 3);

  expect(messages.map(({ events, headPosition }) => [events.length, headPosition])).toEqual([
    [0, 700n],
    [500, 700n],
    [200, 700n],
  ]);
});

test('a log that lost its end is followed in peace', async () => {
  await happen(service, 'a', 'b', 'c');
  await service.parts.database.query('delete from events where position = 3');
  await service.parts.database.query('update event_head set position = 2');

  const startedAtMs = performance.now();
  const messages = await follow(2n, 4);

  expect(messages.at(-1)?.headPosition).toBe(2n);
  // After where it is and an empty page there are heartbeats only.
  expect(performance.now() - startedAtMs).toBeGreaterThan(1_000);
});
