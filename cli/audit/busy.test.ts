import { randomUUID } from 'node:crypto';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '#lib/testing';
import { type Campus, startCampus } from '../../test/campus.ts';
import { audit } from './audit.ts';
import { databaseUrlsOf } from './history.testing.ts';

const REGISTRATIONS_COUNT = 200;
const AT_ONCE = 20;
const SETTLE_TIMEOUT_MS = 240_000;
const late = new Set([Code.DeadlineExceeded, Code.Unavailable, Code.ResourceExhausted, Code.Canceled]);
/** Every tenth is declined; some are so slow that whoever cancels comes in time. */
const cards = [
  'tok_ok',
  'tok_ok',
  'tok_ok',
  'tok_slow',
  'tok_ok',
  'tok_ok',
  'tok_ok',
  'tok_ok',
  'tok_ok',
  'tok_declined',
];

let campus: Campus;

beforeAll(async () => {
  campus = await startCampus();
});
afterAll(() => campus.stop());

/** Asks again where the machine was too busy to answer in time: an id makes that one registration. */
async function register(
  studentId: string,
  adds: string[],
  options: Parameters<Campus['register']>[2],
): Promise<string> {
  const id = randomUUID();
  await eventually(() => campus.register(studentId, adds, { ...options, id }).catch(unlessLate), patience(id));
  return id;
}

async function ended(id: string): Promise<void> {
  await eventually(async () => (await endedIds()).has(id), patience(id));
}

let looking: Promise<Set<string>> | undefined;

/** Looked up once for all who wait. */
function endedIds(): Promise<Set<string>> {
  looking ??= campus
    .rows<{ id: string }>('enrollment', 'select id from registrations where ended_at is not null')
    .then((rows) => new Set(rows.map(({ id }) => id)))
    .finally(() => {
      looking = undefined;
    });
  return looking;
}

function unlessLate(failure: unknown): undefined {
  if (!late.has(ConnectError.from(failure).code)) throw failure;
}

function patience(id: string) {
  return { timeoutMs: SETTLE_TIMEOUT_MS, what: `registration ${id}` };
}

/** Registers, and then drops, cancels or stays. */
async function live(number: number, sections: string[]): Promise<void> {
  const studentId = `student-${number}`;
  const card = cards[number % cards.length] ?? 'tok_ok';
  const registrationId = await register(studentId, sections, { card, buy: number % 2 === 0 });
  if (card === 'tok_slow') {
    // Too late where its saga has gone on meanwhile; then it stays.
    await campus.asStudent(studentId, (client) => client.cancelRegistration({ registrationId })).catch(() => undefined);
  }
  await ended(registrationId);
  if (number % 3 === 0) await ended(await register(studentId, [], { drops: sections }));
}

test('an audit while two hundred students register, cancel and drop accuses nobody', { timeout: 600_000 }, async () => {
  const book = await campus.material({ stock: 60 });
  const sections = [
    await campus.section({ capacity: 150, materials: [book] }),
    await campus.section({ capacity: 100 }),
  ];
  const urls = databaseUrlsOf(campus);
  // As early as can be: what ended this instant is looked at too.
  const look = () => audit({ databaseUrl: (name) => urls[name], providerUrl: campus.providerUrl, settledSeconds: 0 });

  const numbers = Array.from({ length: REGISTRATIONS_COUNT }, (_, number) => number).values();
  const lane = async () => {
    for (const number of numbers) await live(number, sections);
  };
  let isBusy = true;
  const lives = Promise.all(Array.from({ length: AT_ONCE }, lane)).finally(() => {
    isBusy = false;
  });
  let audits = 0;
  for (; isBusy; audits++) expect((await look()).flatMap(({ examples }) => examples)).toEqual([]);
  await lives;

  const [row] = await campus.rows<{ completed: string; undone: string; drops: string }>(
    'enrollment',
    `select count(*) filter (where adds_state = 'confirmed') as completed, count(*) filter (where adds_state = 'released') as undone,
       count(*) filter (where drops_state = 'finished') as drops from registrations`,
  );
  expect(audits).toBeGreaterThan(0);
  for (const count of Object.values(row ?? {})) expect(Number(count)).toBeGreaterThan(0);
  expect((await look()).flatMap(({ examples }) => examples)).toEqual([]);
});
