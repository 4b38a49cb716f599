import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLogger } from '#lib/log';
import { eventually } from '#lib/testing';
import { SectionStatus } from '#proto/catalog/v1/catalog';
import { SectionPublishedSchema } from '#proto/catalog/v1/events';
import { SectionSeatsChangedSchema } from '#proto/enrollment/v1/events';
import { applyBatch, received, told } from '../views/history.testing.ts';
import { REPLICAS, type ReadingTest, startReading } from '../views/reader.testing.ts';
import { SeatBoard } from './seat-board.ts';

const SECTION = 'T1-10001';
/** Replicas take turns: each one is looked at twice. */
const LOOKS = 5;

let reading: ReadingTest;

beforeAll(async () => {
  reading = await startReading();
  const section = { id: SECTION, termId: 'T1', courseId: 'CSE-101', capacity: 30, status: SectionStatus.OPEN };
  const published = told(SectionPublishedSchema, { section, version: 1n });
  await applyBatch('catalog', received([published]), reading.database.query);
});
afterAll(() => reading.stop());

async function count(taken: number): Promise<void> {
  const seats = { sectionId: SECTION, capacity: 30, taken, waitlisted: 0, version: BigInt(taken) };
  await applyBatch('enrollment', received([told(SectionSeatsChangedSchema, { seats })]), reading.database.query);
}

/** What somebody who watches the section is told to be taken, until the views were looked at so often. */
async function toldWithin(looks: number): Promise<number[]> {
  let looked = 0;
  const read: typeof reading.views.read = (token, body) => {
    looked++;
    return reading.views.read(token, body);
  };
  const board = new SeatBoard({ ...reading.views, read }, createLogger('test', 'silent'));
  let text = '';
  const stream = board.watch([SECTION], 0).setEncoding('utf8');
  stream.on('data', (chunk) => {
    text += chunk;
  });
  // Each look is told before the next one.
  await eventually(() => looked > looks, { what: `${looks} looks` });
  board.close();
  return [...text.matchAll(/"seatsTaken":(\d+)/g)].map(([, taken]) => Number(taken));
}

test('seats that were seen to go do not come back because the next replica is behind', async () => {
  await count(1);
  for (const replica of REPLICAS) await reading.untilReadOn(replica);
  await reading.on('replica-1', 'select pg_wal_replay_pause()');
  try {
    await count(2);
    await reading.untilReadOn('replica-2');

    const taken = await toldWithin(LOOKS);

    expect(taken.at(-1)).toBe(2);
    expect(taken).toEqual([...new Set(taken)].sort());
  } finally {
    await reading.on('replica-1', 'select pg_wal_replay_resume()');
  }
});
