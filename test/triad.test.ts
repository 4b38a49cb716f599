/** The triad that every saga gets: each activity twice; each step fails in turn; each step fails and every compensation runs twice. */
import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import type { Activities } from '../workflows/worker/activities.ts';
import { type Campus, startCampus } from './campus.ts';
import { DROPPED, EVERYTHING, NOTHING, type Traces, traces } from './traces.ts';

const STEPS = ['reserveSeats', 'chargeTuition', 'reserveMaterials', 'recordEnrollment', 'confirmSeats'] as const;
/** None of these has an undo: what fails is asked until it is done. */
const DROP_STEPS = ['recordDrop', 'returnMaterials', 'refundDrop', 'finishDrops'] as const;

interface Trouble {
  /** Every activity of the registration runs twice. */
  twice?: boolean;
  /** This step reports a failure … */
  failing?: (typeof STEPS)[number];
  /** … before it does anything, or after it has done everything. */
  when?: 'before' | 'after';
  /** The first answer of this step is lost: it happened, and nobody knows. */
  lostOnce?: (typeof STEPS | typeof DROP_STEPS)[number];
}

interface Result {
  status: Status;
  reason: string;
  left: Traces;
  seatsTaken: number;
}

const troubles = new Map<string, Trouble>();
let campus: Campus;

beforeAll(async () => {
  campus = await startCampus({ activities: troubled });
});
afterAll(() => campus.stop());

/** The real activities, with the trouble that a test wants for its registration. */
function troubled(real: Activities): Activities {
  const wrapped = Object.entries(real).map(([name, activity]) => [
    name,
    async (input: { registrationId: string }, ...rest: unknown[]) => {
      const run = activity as (...parameters: unknown[]) => Promise<unknown>; // all take their input first
      const { twice, failing, when } = troubles.get(input.registrationId) ?? {};
      if (failing === name && when === 'before') throw refusal();
      const first = await run(input, ...rest);
      const result = twice ? await run(input, ...rest) : first;
      if (failing === name) throw refusal();
      if (troubles.get(input.registrationId)?.lostOnce === name) {
        troubles.delete(input.registrationId);
        throw new Error('the answer was lost');
      }
      return result;
    },
  ]);
  return Object.fromEntries(wrapped) as Activities; // the same names
}

function refusal(): ApplicationFailure {
  return ApplicationFailure.nonRetryable('a test made it fail', 'Refusal', 'test-trouble');
}

/** Of a registration for a section with a book. */
async function outcomeOf(trouble: Trouble): Promise<Result> {
  const section = await campus.section({ materials: [await campus.material()] });
  const id = randomUUID();
  troubles.set(id, trouble);
  await campus.register(`student-${id}`, [section], { id, buy: true });
  const { status, reason } = await campus.settled(id);
  await campus.temporal.workflow.getHandle(`enroll/${id}`).result();
  expectLost(id, trouble);
  return { status, reason, left: await traces(campus, id), seatsTaken: await seatsTaken(section) };
}

/** Of the drop of a section with a book; `left` is what it leaves of the enrollment. */
async function outcomeOfDrop(trouble: Trouble): Promise<Result> {
  const section = await campus.section({ materials: [await campus.material()] });
  const [enrolled, dropped] = [randomUUID(), randomUUID()];
  const student = `student-${enrolled}`;
  await campus.register(student, [section], { id: enrolled, buy: true });
  await campus.settled(enrolled);
  troubles.set(dropped, trouble);
  await campus.register(student, [], { id: dropped, drops: [section] });
  const { status, reason } = await campus.settled(dropped);
  await campus.temporal.workflow.getHandle(`drop/${dropped}`).result();
  expectLost(dropped, trouble);
  return { status, reason, left: await traces(campus, enrolled), seatsTaken: await seatsTaken(section) };
}

/** Where an answer was to be lost, one was. */
function expectLost(id: string, { lostOnce }: Trouble): void {
  if (lostOnce) expect(troubles.has(id)).toBe(false);
}

async function seatsTaken(section: string): Promise<number> {
  const sql = 'select taken from sections where id = $1';
  const [row] = await campus.rows<{ taken: number }>('enrollment', sql, [section]);
  return row?.taken ?? -1;
}

test('every activity runs twice and the result is the same', async () => {
  const { status, left, seatsTaken } = await outcomeOf({ twice: true });
  expect(status).toBe(Status.COMPLETED);
  expect(left).toEqual(EVERYTHING);
  expect(seatsTaken).toBe(1);
});

test.concurrent.each(STEPS)(
  'the answer of %s is lost, and it is asked again: everything is there once',
  async (lostOnce) => {
    const { status, left, seatsTaken } = await outcomeOf({ lostOnce });
    expect(status).toBe(Status.COMPLETED);
    expect(left).toEqual(EVERYTHING);
    expect(seatsTaken).toBe(1);
  },
);

// The last step decides: it cannot have happened and yet refuse.
describe.each(STEPS.slice(0, -1))('%s fails', (failing) => {
  test.concurrent.each([
    ['before it does anything', 'before', false],
    ['after it has done everything', 'after', false],
    ['after it has done everything, and every compensation runs twice', 'after', true],
  ] as const)('%s: nothing is left behind', async (_when, when, twice) => {
    const { status, reason, left, seatsTaken } = await outcomeOf({ failing, when, twice });
    expect({ status, reason }).toEqual({ status: Status.UNDONE, reason: 'test-trouble' });
    expect(left).toEqual(NOTHING);
    expect(seatsTaken).toBe(0);
  });
});

test('confirmSeats fails before it does anything: nothing is left behind', async () => {
  const { status, left } = await outcomeOf({ failing: 'confirmSeats', when: 'before', twice: true });
  expect(status).toBe(Status.UNDONE);
  expect(left).toEqual(NOTHING);
});

test('every activity of a drop runs twice and the result is the same', async () => {
  expect(await outcomeOfDrop({ twice: true })).toEqual({
    status: Status.COMPLETED,
    reason: '',
    left: DROPPED,
    seatsTaken: 0,
  });
});

test.concurrent.each(DROP_STEPS)(
  'the answer of %s is lost, and it is asked again: the drop is settled once',
  async (lostOnce) => {
    expect(await outcomeOfDrop({ lostOnce })).toEqual({
      status: Status.COMPLETED,
      reason: '',
      left: DROPPED,
      seatsTaken: 0,
    });
  },
);
