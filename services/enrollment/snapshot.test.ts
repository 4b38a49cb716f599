import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Outcome } from '#proto/enrollment/v1/registration';
import { Campus, newStudent, outcomesOf, requestFrom } from './campus.testing.ts';
import { FactsCache } from './facts.ts';
import { readSnapshot } from './snapshot.ts';

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open();
});
afterAll(() => campus.close());

function sectionIn(termId: string): Promise<string> {
  return campus.section({ id: `${termId}-${randomUUID()}`, termId, capacity: 9 });
}

test('what a student has in other terms is not read', async () => {
  const [student, past, here, wanted] = [
    newStudent(),
    await sectionIn('T0'),
    await sectionIn('T1'),
    await sectionIn('T1'),
  ];
  await campus.enroll(student, past);
  await campus.enroll(student, here);
  const requests = [requestFrom(student, { adds: [wanted] })];

  const snapshot = await readSnapshot(campus.query, new FactsCache(), requests, { lock: false });

  expect([...(snapshot.places.get(student)?.keys() ?? [])]).toEqual([here]);
  expect([...snapshot.sections.keys()]).toEqual([wanted]);
});

test('a section of another term is dropped beside an add', async () => {
  const [student, past, wanted] = [newStudent(), await sectionIn('T0'), await sectionIn('T1')];
  await campus.enroll(student, past);

  const registration = await campus.register(student, { adds: [wanted], drops: [past] });

  expect(outcomesOf(registration)).toEqual([Outcome.DROPPED, Outcome.RESERVED]);
});
