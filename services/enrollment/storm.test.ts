import { Code, ConnectError } from '@connectrpc/connect';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refusalOf } from '#lib/refusal';
import { Day } from '#proto/catalog/v1/catalog';
import { Mode } from '#proto/enrollment/v1/registration';
import { Campus, newStudents } from './campus.testing.ts';

const INSTANCES = 2;
const STUDENTS = 40;
const SECTIONS = 10;
const STEPS = 500;
const SEED = 2026;
/** Steps in flight at once. */
const CROWD = 32;
/** A slow machine may need longer than anybody waits; whatever was given up must still be whole. */
const GIVEN_UP = [Code.DeadlineExceeded, Code.Unavailable];

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open(INSTANCES);
});
afterAll(() => campus.close());

const step = fc.record({
  student: fc.nat(STUDENTS - 1),
  instance: fc.nat(INSTANCES - 1),
  what: fc.constantFrom('add', 'add', 'add', 'drop', 'leave', 'cancel', 'confirm', 'confirm', 'release', 'finish'),
  sections: fc.uniqueArray(fc.nat(SECTIONS - 1), { minLength: 1, maxLength: 4 }),
  isAllOrNothing: fc.boolean(),
  which: fc.nat(),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Small sections, three of which meet at the same time. */
function openSections(): Promise<string[]> {
  const meetings = [{ kind: 'lecture', days: [Day.MONDAY], startsAt: '09:00', endsAt: '10:00' }];
  return Promise.all(
    Array.from({ length: SECTIONS }, (_, n) =>
      campus.section({ capacity: 1 + n, waitlistCapacity: n % 4, credits: 4, ...(n % 4 === 0 && { meetings }) }),
    ),
  );
}

/** One step of somebody; what rules refuse is part of the storm, what is broken is not. */
async function take(one: Step, { students, sections, ids }: { students: string[]; sections: string[]; ids: string[] }) {
  const { instance, what, isAllOrNothing, which } = one;
  const student = students[one.student] ?? '';
  const wanted = one.sections.map((n) => sections[n] ?? '');
  const registrationId = ids[which % Math.max(ids.length, 1)] ?? '';
  const client = campus.client(instance);
  if (what === 'add') {
    const mode = isAllOrNothing ? Mode.ALL_OR_NOTHING : Mode.EACH;
    const { id } = await campus.register(student, { adds: wanted, orWaitlist: which % 2 === 0, mode }, { instance });
    ids.push(id);
  } else if (what === 'drop') {
    const [drop = '', ...adds] = wanted;
    const { id } = await campus.register(student, { adds, drops: [drop] }, { instance });
    ids.push(id);
  } else if (what === 'leave') {
    await client.leaveWaitlist({ studentId: student, sectionId: wanted[0] ?? '' }, await campus.as(student));
  } else if (ids.length === 0) return;
  else if (what === 'cancel') await client.cancelRegistration({ registrationId });
  else if (what === 'confirm') await client.confirmSeats({ registrationId });
  else if (what === 'release') await client.releaseSeats({ registrationId, reason: 'outage' });
  else await client.finishDrops({ registrationId });
}

test('a storm of every kind of call through two instances leaves nothing wrong', async () => {
  const campusWords = { students: newStudents(STUDENTS), sections: await openSections(), ids: [] };
  const steps = fc.sample(step, { numRuns: STEPS, seed: SEED });
  const broken: unknown[] = [];
  const next = steps.values();

  await Promise.all(
    Array.from({ length: CROWD }, async () => {
      for (const one of next) {
        await take(one, campusWords).catch((error: unknown) => {
          const { code } = ConnectError.from(error);
          if (code !== Code.FailedPrecondition && !GIVEN_UP.includes(code)) broken.push([one, error]);
        });
      }
    }),
  );

  expect(broken).toEqual([]);
  expect(await campus.faults()).toEqual([]);
  expect(await studentsInConflict()).toEqual([]);
  await endSagas();
  expect(await campus.faults()).toEqual([]);
  const statuses = await campus.query<{ status: string }>('select distinct status from registrations order by 1');
  expect(statuses.map(({ status }) => status)).toEqual(['cancelled', 'completed', 'refused', 'undone']);
});

/** What the sagas would do with all that is pending. */
async function endSagas(): Promise<void> {
  const pending = await campus.query<{ id: string; cancelled: boolean }>(
    "select id, cancel_requested as cancelled from registrations where status = 'pending'",
  );
  for (const { id: registrationId, cancelled } of pending) {
    if (cancelled) await campus.client().releaseSeats({ registrationId });
    else await campus.client().confirmSeats({ registrationId }).catch(refusalOf);
    await campus.client().finishDrops({ registrationId });
  }
}

/** Students in two sections at once, or with more than 22 credits. */
function studentsInConflict(): Promise<unknown[]> {
  return campus.query(
    `with held as (
       select e.student_id, s.facts from enrollments e join section_facts s on s.id = e.section_id
       where e.status in ('reserved', 'enrolled')
     )
     select student_id from held group by student_id
     having count(*) filter (where facts -> 'section' -> 'meetings' is not null) > 1
       or sum((facts -> 'course' ->> 'credits')::int) > 22`,
  );
}
