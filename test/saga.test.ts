import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { Outcome, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import type { Activities } from '../workflows/worker/activities.ts';
import { type Campus, startCampus } from './campus.ts';
import { type Gate, Gates } from './gates.ts';
import { NOTHING, traces } from './traces.ts';

const IN_FLIGHT_MAX = 2;

const gates = new Gates();
/** Registrations whose sagas are open now, of those that a test counts. */
const open = new Set<string>();
const counted = new Set<string>();
let openMost = 0;
let campus: Campus;

beforeAll(async () => {
  campus = await startCampus({
    activities: (real) => counting(gates.around(real)),
    environment: { SAGAS_IN_FLIGHT_MAX: String(IN_FLIGHT_MAX) },
  });
});
afterAll(() => campus.stop());

function counting(real: Activities): Activities {
  return {
    ...real,
    reserveSeats: (input) => {
      if (counted.has(input.registrationId)) open.add(input.registrationId);
      openMost = Math.max(openMost, open.size);
      return real.reserveSeats(input);
    },
    confirmSeats: async (input) => {
      await real.confirmSeats(input);
      open.delete(input.registrationId);
    },
  };
}

test('a registration is carried to enrolled across all services', async () => {
  const book = await campus.material();
  const sections = [await campus.section({ materials: [book] }), await campus.section()];

  const { id, status } = await campus.register('anna', sections, { buy: true });
  expect(status).toBe(Status.PENDING);
  const settled = await campus.settled(id);

  expect(settled.status).toBe(Status.COMPLETED);
  expect(settled.items.map(({ outcome }) => outcome)).toEqual([Outcome.ENROLLED, Outcome.ENROLLED]);
  // 2 × 4 credits × 100.00 + 2 fees of 25.00 + a book of 40.00.
  expect(await traces(campus, id)).toEqual({ seats: 2, charged: 89_000, provider: 89_000, copies: 1, transcript: 2 });
});

test('a declined payment gives everything back and says why', async () => {
  const { id } = await campus.register('ben', [await campus.section()], { card: 'tok_declined' });

  const settled = await campus.settled(id);

  expect(settled).toMatchObject({ status: Status.UNDONE, reason: 'payment-declined' });
  expect(await traces(campus, id)).toEqual({ seats: 0, charged: 0, provider: 0, copies: 0, transcript: 0 });
});

test('materials out of stock give the money back', async () => {
  const book = await campus.material({ stock: 0 });
  const { id } = await campus.register('carla', [await campus.section({ materials: [book] })], { buy: true });

  const settled = await campus.settled(id);

  expect(settled).toMatchObject({ status: Status.UNDONE, reason: 'materials-out-of-stock' });
  expect(await traces(campus, id)).toEqual({ seats: 0, charged: 0, provider: 0, copies: 0, transcript: 0 });
});

test('a provider that times out although it charged is asked again, and charges once', async () => {
  const { id } = await campus.register('dora', [await campus.section()], { card: 'tok_timeout_charged' });

  const settled = await campus.settled(id);

  expect(settled.status).toBe(Status.COMPLETED);
  expect(await traces(campus, id)).toEqual({ seats: 1, charged: 42_500, provider: 42_500, copies: 0, transcript: 1 });
});

test('a cancelled registration ends undone, whatever it had reached', async () => {
  const id = randomUUID();
  const charging = gates.before(id, 'chargeTuition');
  await campus.register('emil', [await campus.section()], { id, card: 'tok_slow' });
  await charging.reached;

  await campus.asStudent('emil', (client) => client.cancelRegistration({ registrationId: id }));
  charging.open();
  const settled = await campus.settled(id);

  expect(settled).toMatchObject({ status: Status.CANCELLED, reason: 'cancelled' });
  expect(await traces(campus, id)).toEqual({ seats: 0, charged: 0, provider: 0, copies: 0, transcript: 0 });
});

test('a drop gives nothing back for a book that the student has fetched', async () => {
  const [fetched, reserved] = [await campus.material(), await campus.material()];
  const section = await campus.section({ materials: [fetched] });
  const enrolled = await campus.register('gina', [section], { buy: true });
  await campus.settled(enrolled.id);
  const completed = 'select from reservations where registration_id = $1 and completed';
  await eventually(async () => (await campus.rows('bookstore', completed, [enrolled.id])).length > 0);
  await campus.clients.of(BookstoreService, 'bookstore').issueMaterials({ registrationId: enrolled.id });
  const later = await campus.section({ materials: [reserved] });
  const second = await campus.register('gina', [later], { buy: true });
  await campus.settled(second.id);

  const dropped = await campus.register('gina', [], { drops: [section, later] });
  await campus.settled(dropped.id);

  // Half of 425.00 stays of each, and the 40.00 of the book that was fetched.
  const left = { seats: 0, copies: 0, transcript: 0 };
  expect(await traces(campus, enrolled.id)).toEqual({ ...left, charged: 25_250, provider: 25_250 });
  expect(await traces(campus, second.id)).toEqual({ ...left, charged: 21_250, provider: 21_250 });
});

test('a drop gives back the seat, the copies, and what the schedule says', async () => {
  const book = await campus.material();
  const section = await campus.section({ materials: [book] });
  const enrolled = await campus.register('finn', [section], { buy: true });
  await campus.settled(enrolled.id);

  const dropped = await campus.register('finn', [], { drops: [section] });
  const settled = await campus.settled(dropped.id);

  expect(settled.status).toBe(Status.COMPLETED);
  // Half of 425.00 stays; the book is paid back in full.
  expect(await traces(campus, enrolled.id)).toEqual({
    seats: 0,
    charged: 21_250,
    provider: 21_250,
    copies: 0,
    transcript: 0,
  });
});

test('a section that is cancelled drops who is in it and who is on the way, and pays everything back', async () => {
  const section = await campus.section({ materials: [await campus.material()] });
  const [inside, onTheWay] = [randomUUID(), randomUUID()];
  await campus.register('hanna', [section], { id: inside, buy: true });
  await campus.settled(inside);
  const charging = gates.before(onTheWay, 'chargeTuition');
  await campus.register('ivo', [section], { id: onTheWay, buy: true });
  await charging.reached;

  await campus.cancelSection(section);
  const isGone = async (id: string) => JSON.stringify(await traces(campus, id)) === JSON.stringify(NOTHING);
  await eventually(() => isGone(inside), { what: 'everything given back to who was inside' });
  expect(await traces(campus, onTheWay)).toMatchObject({ seats: 1 });

  charging.open();
  expect((await campus.settled(onTheWay)).status).toBe(Status.COMPLETED);
  await eventually(() => isGone(onTheWay), { what: 'everything given back to who was on the way' });
});

test('operators find a saga by student, section and outcome, and read whose it is and which steps it took', async () => {
  const sections = [await campus.section(), await campus.section({ materials: [await campus.material()] })];
  const { id } = await campus.register('gita', sections, { buy: true });
  await campus.settled(id);

  for (const section of sections) {
    const query = `SectionId = '${section}' and StudentId = 'gita' and Outcome = 'enrolled'`;
    const found = async () => (await Array.fromAsync(campus.temporal.workflow.list({ query })))[0]?.workflowId;
    expect(await eventually(found, { what: `the saga of ${section}` })).toBe(`enroll/${id}`);
  }
  const saga = campus.temporal.workflow.getHandle(`enroll/${id}`);
  const [first, second] = sections;
  const summary = `gita enrolls in CSE-101 (${first}), CSE-101 (${second})`;
  expect(await (await saga.describe()).staticSummary()).toBe(summary);
  // As the Web UI asks for what it shows.
  const { currentDetails } = await saga.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  const steps = ['reserveSeats', 'chargeTuition', 'reserveMaterials', 'recordEnrollment', 'confirmSeats'];
  expect(currentDetails.split('\n')).toEqual(steps.map((step) => expect.stringMatching(new RegExp(`✅.*${step}`))));
});

test('however many register at once, no more sagas are open than may be, and all get their turn', async () => {
  const section = await campus.section();
  const waiting = new Map<string, Gate>();
  for (let count = 0; count < 5 * IN_FLIGHT_MAX; count++) {
    const id = randomUUID();
    counted.add(id);
    waiting.set(id, gates.before(id, 'reserveSeats'));
  }
  await Promise.all([...waiting.keys()].map((id) => campus.register(`student-${id}`, [section], { id })));

  await eventually(() => open.size === IN_FLIGHT_MAX, { what: 'as many sagas as may be open' });

  // While each of them is carried to its end, all others have every chance to begin.
  while (waiting.size > 0) {
    const [id = ''] = await eventually(() => open.size > 0 && open, { what: 'the next saga' });
    waiting.get(id)?.open();
    waiting.delete(id);
    expect((await campus.settled(id)).status).toBe(Status.COMPLETED);
  }

  expect(openMost).toBe(IN_FLIGHT_MAX);
});
