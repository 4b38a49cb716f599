import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction } from '#lib/database';
import { SectionStatus } from '#proto/catalog/v1/catalog';
import { SectionPublishedSchema, TermPublishedSchema } from '#proto/catalog/v1/events';
import { AccountChangedSchema, AccountRegisteredSchema, RoleGrantedSchema } from '#proto/identity/v1/events';
import { Campus, newStudent, newStudents, requestFrom, toEvent } from './campus.testing.ts';
import { applyIdentity } from './followers.ts';

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open();
});
afterAll(async () => {
  expect(await campus.faults()).toEqual([]);
  await campus.close();
});

function published(words: { id: string; capacity: number; version: bigint; credits?: number; status?: SectionStatus }) {
  const { version, credits = 1, ...rest } = words;
  const section = { termId: 'T1', courseId: 'C1', status: SectionStatus.OPEN, ...rest };
  return toEvent(SectionPublishedSchema, { section, course: { id: 'C1', code: 'C 1', credits }, version });
}

async function capacityOf(id: string): Promise<number | undefined> {
  const [row] = await campus.query<{ capacity: number }>('select capacity from sections where id = $1', [id]);
  return row?.capacity;
}

test.each([
  ['registered', AccountRegisteredSchema],
  ['changed by an import', AccountChangedSchema],
  ['given the role', RoleGrantedSchema],
])('staff may act for a student once identity has told that the account was %s', async (_how, schema) => {
  const section = await campus.section();
  const id = newStudent();
  const asStaff = await campus.as('mara', 'staff');
  const ask = () => campus.client().register(requestFrom(id, { adds: [section] }), asStaff);
  await expect(ask()).rejects.toMatchObject({ code: Code.NotFound });

  const event = toEvent(schema, { account: { id, roles: ['student'] } });
  await inTransaction(campus.pool, { timeoutMs: undefined }, (query) => applyIdentity([event], query));

  expect((await ask()).registration).toMatchObject({ studentId: id, items: [{ sectionId: section, reason: '' }] });
});

test('a section is known once the catalog has told of it, and told of with its seats', async () => {
  await campus.apply([published({ id: 'T1-new', capacity: 7, version: 1n })]);

  expect(await capacityOf('T1-new')).toBe(7);
  expect(await campus.told('T1-new')).toEqual(['SectionSeatsChanged']);
});

test('what is told twice, or late, changes nothing', async () => {
  const older = published({ id: 'T1-late', capacity: 7, version: 1n });
  const newer = published({ id: 'T1-late', capacity: 9, version: 2n });

  for (const events of [[older], [newer], [newer], [older]]) await campus.apply(events);

  expect(await capacityOf('T1-late')).toBe(9);
  expect(await campus.told('T1-late')).toHaveLength(2);
});

test('the newest word of a batch counts', async () => {
  const words = [3n, 4n, 5n].map((version) => published({ id: 'T1-batch', capacity: Number(version), version }));
  await campus.apply(words);
  expect(await capacityOf('T1-batch')).toBe(5);
});

test('a capacity lowered below what is taken takes nobody’s seat', async () => {
  const id = 'T1-lowered';
  await campus.apply([published({ id, capacity: 3, version: 1n })]);
  const students = newStudents(2);
  for (const student of students) await campus.enroll(student, id);

  await campus.apply([published({ id, capacity: 1, version: 2n })]);

  expect(await campus.seats(id)).toMatchObject({ taken: 2 });
  for (const student of students) expect(await campus.places(student)).toEqual({ [id]: 'enrolled' });
  const { items } = await campus.register(newStudent(), { adds: [id] });
  expect(items[0]?.reason).toBe('section-full');

  // One of the two leaves: the other is one more than the catalog wants already.
  await campus.register(students[0] ?? '', { drops: [id] });
  const after = await campus.register(newStudent(), { adds: [id] });
  expect(after.items[0]?.reason).toBe('section-full');
});

test('new facts are what the next decision looks at, though the old ones were kept', async () => {
  const id = 'T1-changed';
  await campus.apply([published({ id, capacity: 9, version: 1n })]);
  await campus.register(newStudent(), { adds: [id] });

  await campus.apply([published({ id, capacity: 9, version: 2n, credits: 23 })]);
  const heavy = await campus.register(newStudent(), { adds: [id] });
  await campus.apply([published({ id, capacity: 9, version: 3n, status: SectionStatus.CANCELLED })]);
  const gone = await campus.register(newStudent(), { adds: [id] });

  expect([heavy, gone].map(({ items }) => items[0]?.reason)).toEqual(['credit-limit', 'section-closed']);
});

test('a term’s credit limit may come after its sections, and change', async () => {
  const id = await campus.section({ termId: 'T9', capacity: 9, credits: 30 });
  const limit = (creditsMax: number, version: bigint) =>
    campus.apply([toEvent(TermPublishedSchema, { term: { id: 'T9', creditsMax }, version })]);
  const ask = async () => (await campus.register(newStudent(), { adds: [id] })).items[0]?.reason;

  const before = await ask();
  await limit(20, 1n);
  const limited = await ask();
  await limit(40, 2n);
  await limit(20, 1n);
  const raised = await ask();

  expect([before, limited, raised]).toEqual(['', 'credit-limit', '']);
});
