import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Refusal, refusalOf } from '#lib/refusal';
import { eventually, freshDatabase } from '#lib/testing';
import { EventLogService } from '#proto/eventlog/v1/service';
import { type BookstoreUnderTest, startBookstore } from './testing.ts';

const CONTENDERS = 30;
const COPIES = 5;

let store: BookstoreUnderTest;
let service: BookstoreUnderTest['service'];
let system: BookstoreUnderTest['system'];

beforeAll(async () => {
  store = await startBookstore();
  ({ service, system } = store);
});
afterAll(() => store.stop());

async function material(stock: number): Promise<string> {
  const materialId = `material-${randomUUID()}`;
  await system.createMaterial({ materialId, name: materialId, price: { amount: 1n, currency: 'USD' }, stock });
  return materialId;
}

/** Lets contenders try for a copy at once and counts who got one. */
async function race(attempt: () => Promise<boolean>): Promise<number> {
  const got = await Promise.all(Array.from({ length: CONTENDERS }, attempt));
  return got.filter(Boolean).length;
}

test('thirty who want one of five copies at once: five get one', async () => {
  const book = await material(COPIES);
  const reasons: (string | undefined)[] = [];

  const winners = await race(async () => {
    const refusal = await system.reserveMaterials(registrationOf([book])).catch((error) => refusalOf(error) ?? error);
    if ('reason' in refusal) reasons.push((refusal as Refusal).reason); // an answer has no reason
    return !('reason' in refusal);
  });

  expect(winners).toBe(COPIES);
  expect(reasons).toEqual(Array(CONTENDERS - COPIES).fill('materials-out-of-stock'));
});

test('negative control: the same race over a naive check and update gives more than five away', async () => {
  const pool = new pg.Pool({ connectionString: await freshDatabase('naive'), max: COPIES });
  await pool.query('create table shelf (stock integer not null)');
  await pool.query('insert into shelf values ($1)', [COPIES]);

  const winners = await race(async () => {
    const { rows } = await pool.query('select stock from shelf');
    if (rows[0].stock < 1) return false;
    await pool.query('update shelf set stock = $1', [rows[0].stock - 1]);
    return true;
  });
  await pool.end();

  expect(winners).toBeGreaterThan(COPIES);
});

test('registrations that want the same materials in opposite orders never lock each other', async () => {
  const [first, second] = [await material(100), await material(100)];
  const requests = Array.from({ length: CONTENDERS }, (_, index) =>
    registrationOf(index % 2 === 0 ? [first, second] : [second, first]),
  );

  await Promise.all(requests.map((request) => system.reserveMaterials(request)));
  await Promise.all(requests.map((request) => system.releaseMaterials(request)));

  for (const materialId of [first, second])
    expect((await system.getMaterial({ materialId })).material).toMatchObject({ stock: 100, reserved: 0 });
});

test('materials are locked in the order of their ids, whatever order they are stored or asked for in', async () => {
  const { pool, query } = service.parts.database;
  for (const materialId of ['order-3', 'order-2', 'order-1'])
    await system.createMaterial({ materialId, name: materialId, price: { amount: 1n, currency: 'USD' }, stock: 1 });
  const other = await pool.connect();
  await other.query('begin');
  await other.query("select from materials where id = 'order-2' for update");

  const reserving = system.reserveMaterials(registrationOf(['order-3', 'order-2', 'order-1']));
  await eventually(async () => {
    const waiting = await query(
      "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return waiting.length > 0;
  });
  const third = await other.query("select id from materials where id = 'order-3' for update skip locked");
  await other.query('rollback');
  other.release();

  expect(third.rows).toEqual([{ id: 'order-3' }]);
  await reserving;
});

/** A new registration that wants one copy of each, each for a section of its own. */
function registrationOf(materialIds: string[]) {
  const sections = materialIds.map((materialId) => ({ sectionId: materialId, lines: [{ materialId, quantity: 1 }] }));
  return { registrationId: randomUUID(), studentId: 'anna', sections };
}

const MATERIALS = 3;
const REGISTRATIONS = 4;
const SECTIONS = 3;

type Step =
  | { do: 'reserve'; registration: number; lines: { section: number; material: number; quantity: number }[] }
  | { do: 'release'; registration: number; sections: number[] }
  | { do: 'issue'; registration: number };

const registration = fc.nat(REGISTRATIONS - 1);
const section = fc.nat(SECTIONS - 1);
const line = fc.record({ section, material: fc.nat(MATERIALS - 1), quantity: fc.integer({ min: 1, max: 3 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('reserve' as const), registration, lines: fc.array(line, { maxLength: 4 }) }),
  fc.record({ do: fc.constant('release' as const), registration, sections: fc.array(section, { maxLength: 2 }) }),
  fc.record({ do: fc.constant('issue' as const), registration }),
);

/** Steps of one round run at once. */
const rounds = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 6 });

test('no copy appears or disappears, whatever happens in whatever order', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, async (plan) => {
      const materials = await Promise.all(Array.from({ length: MATERIALS }, () => material(COPIES)));
      const registrations = Array.from({ length: REGISTRATIONS }, () => randomUUID());
      await store.complete(...registrations);
      for (const round of plan) {
        await Promise.all(round.map((one) => take(one, registrations, materials)));
        await expectEveryCopyAccountedFor(materials);
      }
    }),
    { numRuns: 15 },
  );
});

/** A refusal is an answer; anything else that goes wrong fails the test. */
async function take(one: Step, registrations: string[], materials: string[]): Promise<void> {
  const who = { registrationId: registrations[one.registration] ?? '', studentId: 'anna' };
  await call().catch((error) => {
    const isAnswer = refusalOf(error) !== undefined || (one.do === 'issue' && /no such thing/.test(error.message));
    if (!isAnswer) throw error;
  });

  function call(): Promise<unknown> {
    if (one.do === 'issue') return system.issueMaterials(who);
    if (one.do === 'release') return system.releaseMaterials({ ...who, sectionIds: one.sections.map(sectionId) });
    const sections = one.lines.map((line) => ({
      sectionId: sectionId(line.section),
      lines: [{ materialId: materials[line.material] ?? '', quantity: line.quantity }],
    }));
    return system.reserveMaterials({ ...who, sections });
  }
}

function sectionId(section: number): string {
  return `T1-${section}`;
}

/** The counters say what the lines say, and what the newest event of each material said. */
async function expectEveryCopyAccountedFor(materials: string[]): Promise<void> {
  const rows = await service.parts.database.query<Record<'id' | 'total' | 'reserved' | 'issued', unknown>>(
    `select id, stock + reserved + issued as total,
       reserved - (select coalesce(sum(quantity), 0) from reservation_lines
                   where material_id = id and state = 'reserved')::int as reserved,
       issued - (select coalesce(sum(quantity), 0) from reservation_lines
                 where material_id = id and state = 'issued')::int as issued
     from materials where id = any($1) order by id`,
    [materials],
  );
  expect(rows).toEqual([...materials].sort().map((id) => ({ id, total: COPIES, reserved: 0, issued: 0 })));
}

test('the newest event of a material says what its row says', async () => {
  const book = await material(COPIES);
  const sections = [{ sectionId: 'T1-1', lines: [{ materialId: book, quantity: 1 }] }];
  const [kept, undone] = [randomUUID(), randomUUID()].map((registrationId) => ({ registrationId, studentId: 'anna' }));
  for (const one of [kept, undone]) await system.reserveMaterials({ ...one, sections });
  await store.complete(kept?.registrationId ?? '');
  await system.issueMaterials({ registrationId: kept?.registrationId ?? '' });
  await system.releaseMaterials({ ...undone });

  const { events } = await service.client(EventLogService).readEvents({ subject: undone?.registrationId ?? '' });
  const { material: now } = await system.getMaterial({ materialId: book });

  expect(JSON.parse(events.at(-1)?.json ?? '').materials).toEqual([
    expect.objectContaining({ id: book, stock: now?.stock, issued: now?.issued, version: String(now?.version) }),
  ]);
  expect(now).toMatchObject({ stock: COPIES - 1, reserved: 0, issued: 1 });
});
