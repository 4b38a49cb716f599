import { randomUUID } from 'node:crypto';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction, type Query, queryOf } from '#lib/database';
import { freshServiceDatabase } from '#lib/testing';
import { RegistrationProgressedSchema } from '#proto/enrollment/v1/events';
import { Action, Outcome, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { AccountEntryView, balanceOf } from './account.ts';
import { entities, tables } from './all.ts';
import { CourseView } from './course.ts';
import { EnrollmentView } from './enrollment.ts';
import {
  applyBatch,
  dumpOf,
  historyOf,
  type Ids,
  LAB,
  LECTURE,
  type Logs,
  newIds,
  received,
  TRACE,
  told,
} from './history.testing.ts';
import { MaterialView } from './material.ts';
import { projector } from './projector.ts';
import { RegistrationView } from './registration.ts';
import { SectionView } from './section.ts';
import { RegistrationStepView } from './step.ts';
import { TermView } from './term.ts';

let pool: pg.Pool;
let query: Query;
let orm: MikroORM;
const ids: Ids = newIds();
const logs = historyOf(ids);
const sources = Object.keys(logs) as (keyof Logs)[]; // its own keys

beforeAll(async () => {
  const url = await freshServiceDatabase(projector);
  pool = new pg.Pool({ connectionString: url });
  query = queryOf(pool);
  orm = new MikroORM({ clientUrl: url, entities, ensureDatabase: false });
});
afterAll(async () => {
  await orm.close();
  await pool.end();
});

/** Empties the views, then applies the logs in this order of services, cut into batches of this size. */
async function replay(order: readonly (keyof Logs)[], batchSize: number): Promise<void> {
  await query(`truncate ${tables}`);
  for (const source of order) {
    const events = received(logs[source] ?? []);
    for (let start = 0; start < events.length; start += batchSize) {
      const batch = events.slice(start, start + batchSize);
      await inTransaction(pool, { timeoutMs: undefined }, (inside) => applyBatch(source, batch, inside));
    }
  }
}

test('the views are the same however the logs are cut into batches', async () => {
  await replay(sources, Number.POSITIVE_INFINITY);
  const whole = await dumpOf(query);
  for (const table of Object.keys(whole)) expect(whole[table], table).not.toEqual([]);

  for (const batchSize of [1, 2, 3, 5]) {
    await replay(sources, batchSize);
    expect(await dumpOf(query), `batches of ${batchSize}`).toEqual(whole);
  }
});

test('the views are the same in whatever order the services are heard', async () => {
  await replay(sources, 1);
  const straight = await dumpOf(query);

  for (const turn of sources.keys()) {
    const turned = [...sources.slice(turn), ...sources.slice(0, turn)];
    await replay(turned.toReversed(), 2);
    expect(await dumpOf(query), turned.toReversed().join()).toEqual(straight);
  }
});

test('applying a log a second time changes nothing', async () => {
  await replay(sources, 3);
  const once = await dumpOf(query);

  for (const source of sources) await applyBatch(source, received(logs[source] ?? []), query);

  expect(await dumpOf(query)).toEqual(once);
});

test('terms, courses and sections show what catalog said last', async () => {
  await replay(sources, 4);
  const em = orm.em.fork();

  expect(await em.findOneOrFail(TermView, 'T1')).toMatchObject({ name: 'Fall 2026', creditsMax: 18 });
  expect(await em.findOneOrFail(CourseView, 'CSE-101')).toMatchObject({ title: 'Design of Algorithms' });
  const lecture = await em.findOneOrFail(SectionView, LECTURE);
  expect(lecture).toMatchObject({
    ...{ termId: 'T1', courseCode: 'CSE 101', courseTitle: 'Design of Algorithms', subject: 'CSE', credits: 4 },
    ...{ instructors: ['Émilie Noether'], fee: 2_500, currency: 'USD', status: 'open', waitlistCapacity: 5 },
    ...{ days: 0b1010, startsMinute: 600, endsMinute: 680 },
  });
  expect(lecture.meetings[0]).toEqual({
    ...{ kind: 'lecture', days: ['monday', 'wednesday'], date: '' },
    ...{ startsAt: '10:00', endsAt: '11:20', room: 'WLH 2001' },
  });
  expect(await em.findOneOrFail(SectionView, LAB)).toMatchObject({ status: 'cancelled' });
});

test('seats show the newest count, and are unknown before enrollment told one', async () => {
  await replay(sources, 4);
  const em = orm.em.fork();

  expect(await em.findOneOrFail(SectionView, LECTURE)).toMatchObject({
    ...{ capacity: 2, taken: 0, waitlisted: 1, seatsVersion: 8n, countsAt: new Date('2026-09-01T08:00:14Z') },
  });
  expect(await em.findOneOrFail(SectionView, LAB)).toMatchObject({
    ...{ capacity: 2, taken: null, waitlisted: null, seatsVersion: null, countsAt: null },
  });
});

test('a count that is older than the known one is ignored', async () => {
  await replay(sources, 4);
  const [first] = received(logs.enrollment ?? []);

  await applyBatch('enrollment', first ? [first] : [], query);

  expect(await orm.em.fork().findOneOrFail(SectionView, LECTURE)).toMatchObject({ taken: 0, seatsVersion: 8n });
});

test('a registration shows what was decided, what became of it, and what it cost', async () => {
  await replay(sources, 4);
  const em = orm.em.fork();

  const completed = await em.findOneOrFail(RegistrationView, ids.completed);
  expect(completed).toMatchObject({
    ...{ studentId: 'ada', status: 'completed', mode: 'each', total: 100_000, refunded: 50_000, currency: 'USD' },
    ...{ traceparent: TRACE, requestedAt: new Date('2026-09-01T08:00:00Z'), endedAt: new Date('2026-09-01T08:00:09Z') },
  });
  expect(completed.items).toEqual([{ sectionId: LECTURE, action: 'add', outcome: 'enrolled' }]);
  expect(await em.findOneOrFail(RegistrationView, ids.undone)).toMatchObject({
    ...{ status: 'undone', reason: 'materials-out-of-stock', total: 100_000, refunded: 100_000 },
  });
  const refused = await em.findOneOrFail(RegistrationView, ids.refused);
  expect(refused).toMatchObject({ status: 'refused', total: null });
  expect(refused.items[0]).toMatchObject({ outcome: 'refused', reason: 'section-full', remedy: 'Choose another one.' });
  expect(await em.findOneOrFail(RegistrationView, ids.declined)).toMatchObject({ total: null, refunded: null });
});

test('a charge that is heard before its registration waits for it', async () => {
  await query(`truncate ${tables}`);
  await applyBatch('billing', received(logs.billing ?? []), query);
  expect(await orm.em.fork().count(RegistrationView)).toBe(0);

  await applyBatch('enrollment', received(logs.enrollment ?? []), query);

  expect(await orm.em.fork().findOneOrFail(RegistrationView, ids.completed)).toMatchObject({ total: 100_000 });
});

test('the steps of a registration are those that each service told', async () => {
  await replay(sources, 4);
  const stepsOf = async (registrationId: string) => {
    const found = await orm.em.fork().find(RegistrationStepView, { registrationId }, { orderBy: { place: 'asc' } });
    return found.map(({ name, status }) => `${name} ${status}`);
  };

  // What it did stays done, though a drop gave the materials back later.
  expect(await stepsOf(ids.completed)).toEqual([
    ...['reserveSeats done', 'chargeTuition done', 'reserveMaterials done', 'recordEnrollment done'],
    'confirmSeats done',
  ]);
  expect(await stepsOf(ids.undone)).toEqual([
    ...['reserveSeats undone', 'chargeTuition undone', 'reserveMaterials undone', 'recordEnrollment undone'],
  ]);
  expect(await stepsOf(ids.dropping)).toEqual(['releaseSeats done', 'refundTuition done', 'recordDrop done']);
  // Its undo found nothing to give back.
  expect(await stepsOf(ids.declined)).toEqual(['chargeTuition refused']);
  expect(await stepsOf(ids.refused)).toEqual([]);
});

test('a step that was undone before it came stays undone when it comes', async () => {
  await replay(sources, 4);
  const tombstone = await orm.em.fork().findOneOrFail(RegistrationStepView, {
    ...{ registrationId: ids.undone, name: 'recordEnrollment' },
  });
  expect(tombstone.status).toBe('undone');

  const late = received(historyOf({ ...ids, completed: ids.undone }).records ?? []).slice(0, 1);
  await applyBatch('records', late, query);

  const step = await orm.em.fork().findOneOrFail(RegistrationStepView, {
    ...{ registrationId: ids.undone, name: 'recordEnrollment' },
  });
  expect(step).toMatchObject({ status: 'undone', at: tombstone.at });
});

test('seats that are given back while drops go on are shown at once, and so is the step that was undone', async () => {
  await replay(sources, 4);
  const registrationId = randomUUID();
  const item = { sectionId: LECTURE, action: Action.ADD, outcome: Outcome.RELEASED };
  const requestedAt = timestampFromDate(new Date(0));
  const registration = { id: registrationId, studentId: 'fay', status: Status.PENDING, items: [item], requestedAt };
  const seats = [{ sectionId: LECTURE, capacity: 2, taken: 1, waitlisted: 1, version: 9n }];

  await applyBatch('enrollment', received([told(RegistrationProgressedSchema, { registration, seats })]), query);

  const em = orm.em.fork();
  expect(await em.findOneOrFail(SectionView, LECTURE)).toMatchObject({ taken: 1, seatsVersion: 9n });
  expect(await em.find(RegistrationStepView, { registrationId })).toMatchObject([
    { name: 'reserveSeats', status: 'undone' },
  ]);
});

test('enrollments show their outcome, their term, and the rank of those who wait', async () => {
  await replay(sources, 1);
  const placeOf = (registrationId: string) => orm.em.fork().findOneOrFail(EnrollmentView, { registrationId });

  expect(await placeOf(ids.completed)).toMatchObject({ studentId: 'ada', termId: 'T1', outcome: 'dropped' });
  expect(await placeOf(ids.undone)).toMatchObject({ outcome: 'released' });
  expect(await placeOf(ids.waitlisted)).toMatchObject({ outcome: 'released', termId: 'T1', waitlistPosition: null });
  // Second when it was decided, first since the other one left.
  expect(await placeOf(ids.declined)).toMatchObject({ outcome: 'waitlisted', waitlistNumber: 9n, waitlistPosition: 1 });
});

test('an account is its entries, and the balance is their sum', async () => {
  await replay(sources, 4);
  const em = orm.em.fork();

  const entries = await em.find(AccountEntryView, { studentId: 'ada' }, { orderBy: { id: 'asc' } });
  expect(entries.map(({ kind, amount }) => [kind, amount])).toEqual([
    ['tuition', 100_000],
    ['refund', -50_000],
  ]);
  expect(await balanceOf(em, 'ada')).toEqual([{ amount: 50_000, currency: 'USD' }]);
  expect(await balanceOf(em, 'nobody')).toEqual([]);
});

test('materials show their newest stock, and which are no longer on the list', async () => {
  await replay(sources, 4);
  const em = orm.em.fork();

  expect(await em.findOneOrFail(MaterialView, 'book')).toMatchObject({
    price: 9_000,
    stock: 5,
    reserved: 0,
    version: 5n,
  });
  expect(await em.findOneOrFail(MaterialView, 'atlas')).toMatchObject({ removed: true });
});
