import { once } from 'node:events';
import { register } from 'prom-client';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { REPLICAS, type ReadingTest, startReading } from './reader.testing.ts';
import { POOL_MAX } from './reader.ts';
import { ViewsAway } from './replica-error.ts';
import { NO_TOKEN } from './token.ts';

let reading: ReadingTest;

beforeAll(async () => {
  reading = await startReading();
});
afterEach(() => reading.untilStates({}));
afterAll(() => reading.stop());

test('a replica that hangs fails no read, leaves the rotation and comes back', async () => {
  reading.cluster.pause('replica-1');
  try {
    expect(await reading.looks(40)).not.toContain('replica-1');
    await reading.untilStates({ 'replica-1': 'lost' });
    expect(await reading.readYourWrites(5)).not.toContain('replica-1');
  } finally {
    reading.cluster.resume('replica-1');
  }
  await reading.untilStates({});
  await reading.untilReadOn('replica-1');
});

test('a replica that is killed fails no read and comes back', async () => {
  const reads = reading.looks(40);
  reading.cluster.kill('replica-2');
  await Promise.all([reads, reading.readYourWrites(10)]);

  await reading.cluster.untilReady('replica-2');
  await reading.untilStates({});
  await reading.untilReadOn('replica-2');
});

test.each([
  ['hang', (replica: string) => reading.cluster.pause(replica)],
  ['are killed', (replica: string) => reading.cluster.kill(replica)],
])('no read fails when all replicas %s at once', async (_what, end) => {
  await reading.looks(20);
  const before = reading.looks(20);
  for (const replica of REPLICAS) end(replica);
  try {
    await Promise.all([before, reading.looks(20), reading.readYourWrites(5)]);
  } finally {
    for (const replica of REPLICAS) reading.cluster.resume(replica);
  }
});

test('replicas that are busy to their last connection lose no read, and the next ones go elsewhere', async () => {
  const released = new AbortController();
  let attempts = 0;
  // A transaction keeps its connection, whatever the database does meanwhile.
  const busy = Array.from({ length: 2 * POOL_MAX }, () =>
    reading.views.read(NO_TOKEN, (em) => {
      attempts++;
      return em.transactional(async (inside) => {
        await inside.execute('select 1');
        if (!released.signal.aborted) await once(released.signal, 'abort');
        await inside.execute('select 1');
      });
    }),
  );
  await eventually(() => attempts === busy.length);
  try {
    expect(await reading.looks(2)).toEqual(['primary', 'primary']);
    expect(reading.states()).toEqual({ primary: 'serving', 'replica-1': 'serving', 'replica-2': 'serving' });
  } finally {
    released.abort();
  }
  await Promise.all(busy);
  expect(attempts).toBe(busy.length);
});

test('without any replica the primary answers', async () => {
  await Promise.all(REPLICAS.map((replica) => reading.cluster.stopMember(replica)));
  try {
    expect(await reading.readYourWrites(5)).toEqual(new Set(['primary']));
    await reading.untilStates({ 'replica-1': 'lost', 'replica-2': 'lost' });
  } finally {
    await Promise.all(REPLICAS.map((replica) => reading.cluster.startMember(replica)));
  }
});

test('without the primary the replicas answer', async () => {
  const { token, credits } = await reading.write();
  await reading.untilShown('replica-1', credits);
  await reading.untilShown('replica-2', credits);
  reading.cluster.pause('primary');
  try {
    await reading.untilStates({ primary: 'lost' });
    expect((await reading.look(token)).credits).toBe(credits);
  } finally {
    reading.cluster.resume('primary');
  }
});

test('with nobody left the views are away, and come back', async () => {
  for (const member of reading.cluster.members) reading.cluster.pause(member);
  try {
    await expect(reading.look()).rejects.toBeInstanceOf(ViewsAway);
  } finally {
    for (const member of reading.cluster.members) reading.cluster.resume(member);
  }
  await reading.untilStates({});
  await reading.look();
});

test('a replica that is too far behind is not read until it has caught up', async () => {
  await reading.on('replica-1', 'select pg_wal_replay_pause()');
  try {
    for (let megabyte = 0; megabyte < 70; megabyte++) {
      await reading.database.query("select pg_logical_emit_message(false, 'fill', repeat('x', 1024 * 1024))");
    }
    await reading.write();
    await reading.untilStates({ 'replica-1': 'lagging' });
    const lagging = reading.views.databases().find(({ state }) => state === 'lagging');
    expect(lagging?.lagBytes).toBeGreaterThan(64 * 1024 * 1024);
    expect(await register.metrics()).toMatch(/registrar_replica_lag_bytes\{address="127\.0\.0\.1:\d+"\} \d{8}/);
    expect(await reading.looks(10)).not.toContain('replica-1');
  } finally {
    await reading.on('replica-1', 'select pg_wal_replay_resume()');
  }
});
