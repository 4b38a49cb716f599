import { raw } from '@mikro-orm/postgresql';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { eventually } from '#lib/testing';
import { REPLICAS, type ReadingTest, startReading } from './reader.testing.ts';
import { ViewBehind, ViewsAway } from './replica-error.ts';
import { TermView } from './term.ts';
import { NO_TOKEN, parseToken } from './token.ts';

let reading: ReadingTest;

beforeAll(async () => {
  reading = await startReading();
});
afterEach(() => reading.untilStates({}));
afterAll(() => reading.stop());

test('reads take turns on the replicas and leave the primary alone', async () => {
  await eventually(async () => {
    const members: string[] = [];
    for (let turn = 0; turn < 10; turn++) members.push((await reading.look()).member);
    return members.filter((member) => member === 'replica-1').length === 5 && !members.includes('primary');
  });
});

test('a read with a token sees the write that it names', async () => {
  await reading.readYourWrites(50);
  for (const replica of REPLICAS) await reading.untilReadOn(replica);
});

test('a replica that stands still is passed by where a token asks for more, and only there', async () => {
  await reading.on('replica-1', 'select pg_wal_replay_pause()');
  try {
    const { token, credits } = await reading.write();
    await reading.untilShown('replica-2', credits);

    expect(await reading.looks(10, token)).not.toContain('replica-1');
    await eventually(async () => (await reading.looks(1, token)).includes('replica-2'), {
      what: 'a read on replica-2',
    });
    // The control: without a token the old value can be seen.
    const without = await Promise.all(Array.from({ length: 10 }, () => reading.look()));
    expect(without.filter((seen) => seen.credits < credits).map(({ member }) => member)).toContain('replica-1');
  } finally {
    await reading.on('replica-1', 'select pg_wal_replay_resume()');
  }
});

test('where all replicas stand still, the primary answers', async () => {
  await Promise.all(REPLICAS.map((replica) => reading.on(replica, 'select pg_wal_replay_pause()')));
  try {
    expect(await reading.readYourWrites(3)).toEqual(new Set(['primary']));
    await eventually(async () => (await reading.look()).member !== 'primary', {
      what: 'a read without a token on a replica',
    });
  } finally {
    await Promise.all(REPLICAS.map((replica) => reading.on(replica, 'select pg_wal_replay_resume()')));
  }
});

test('a read waits for the projector, but not for ever', async () => {
  const early = reading.look(parseToken(`enrollment:${reading.position + 1n}`));
  const { credits } = await reading.write();
  expect((await early).credits).toBe(credits);

  await expect(reading.look(parseToken(`enrollment:${reading.position + 1n}`))).rejects.toBeInstanceOf(ViewBehind);
  await expect(reading.look(parseToken('billing:1'))).rejects.toBeInstanceOf(ViewBehind);
});

test('views that a rebuild empties under a read do not show it that nothing is there', async () => {
  const { token } = await reading.write();
  const seen: number[] = [];
  const read = reading.views.read(token, async (em) => {
    if (seen.length === 0) await reading.empty();
    const terms = await eventually(async () => {
      const found = await em.fork().find(TermView, {});
      return found.length === 0 && found;
    });
    seen.push(terms.length);
    return terms;
  });

  await expect(read).rejects.toBeInstanceOf(ViewBehind);
  expect(seen).toContain(0);
  await reading.refill();
});

test('reads go on when the clock is set back', async () => {
  vi.useFakeTimers({ now: Date.now() - 60 * 60 * 1_000, toFake: ['Date'] });
  try {
    await reading.readYourWrites(3);
  } finally {
    vi.useRealTimers();
  }
});

test('a read that a standby ends for its replay is made on another one', async () => {
  await reading.database.query(`
    create function fails_on(port integer) returns boolean language plpgsql as $$
    begin
      if inet_server_port() = port then raise 'in the way of replay' using errcode = '40001'; end if;
      return false;
    end $$`);
  const { token } = await reading.write();
  const port = reading.portOf('replica-1');
  let attempts = 0;
  let turns = 0;
  const wasRepeated = async () => {
    turns++;
    const terms = await reading.views.read(token, (em) => {
      attempts++;
      return em.find(TermView, { [raw('not fails_on(?)', [port])]: [] });
    });
    expect(terms).toHaveLength(1);
    return attempts > turns;
  };
  // A standby that is behind is not asked.
  await eventually(wasRepeated, { what: 'a read of the standby that ends it' });
  expect(reading.states()).toMatchObject({ 'replica-1': 'serving' });
});

test('the database ends a read that takes too long, and it is not made again', async () => {
  let attempts = 0;
  const read = reading.views.read(NO_TOKEN, (em) => {
    attempts++;
    return em.execute('select pg_sleep(20)');
  });
  await expect(read).rejects.toBeInstanceOf(ViewsAway);
  expect(attempts).toBe(1);
});

test('a text that no database takes fails its own read, and breaks nobody else’s', async () => {
  let attempts = 0;
  const others = Array.from({ length: 6 }, () =>
    reading.views.read(NO_TOKEN, (em) => {
      attempts++;
      return em.execute('select pg_sleep(0.3)');
    }),
  );
  const malformed = reading.views.read(NO_TOKEN, (em) => em.find(TermView, { id: { $gt: '\0' } }));

  await expect(malformed).rejects.toMatchObject({ code: '08P01' });
  await Promise.all(others);
  expect(attempts).toBe(others.length);
});

test('an error of the body is the reader’s own', async () => {
  const failure = new Error('of the reader');
  await expect(reading.views.read(NO_TOKEN, () => Promise.reject(failure))).rejects.toBe(failure);
});

test('a reader knows as of when it sees a service', async () => {
  const at = new Date('2026-09-01T08:00:00Z');
  await reading.database.query("insert into sources values ('enrollment', $1)", [at]);

  await eventually(async () => {
    const seen = await reading.views.read(NO_TOKEN, async (_em, asOf) => asOf('enrollment'));
    return seen?.getTime() === at.getTime();
  });
  expect(await reading.views.read(NO_TOKEN, async (_em, asOf) => asOf('billing'))).toBeUndefined();
});
