/** A student drops a section and takes it again before the drop is settled. */
import { randomUUID } from 'node:crypto';
import { Code } from '@connectrpc/connect';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { type Campus, startCampus } from './campus.ts';
import { Gates } from './gates.ts';

const gates = new Gates();
let campus: Campus;

beforeAll(async () => {
  campus = await startCampus({ activities: (real) => gates.around(real) });
});
afterAll(() => campus.stop());

test('the saga of the second enrollment waits for the drop, and the transcript shows both', async () => {
  const [first, drop, again] = [randomUUID(), randomUUID(), randomUUID()];
  const section = await campus.section();
  await campus.register('anna', [section], { id: first });
  await campus.settled(first);
  const dropping = gates.before(drop, 'recordDrop');
  const recording = gates.before(again, 'recordEnrollment');
  recording.open();

  await campus.register('anna', [], { id: drop, drops: [section] });
  await dropping.reached;
  await campus.register('anna', [section], { id: again });
  expect(await recording.failed).toMatchObject({ code: Code.Aborted });
  dropping.open();

  expect((await campus.settled(drop)).status).toBe(Status.COMPLETED);
  expect((await campus.settled(again)).status).toBe(Status.COMPLETED);
  const entries = await campus.rows(
    'records',
    "select registration_id, status from transcript_entries where student_id = 'anna' order by recorded_at",
  );
  expect(entries).toEqual([
    { registration_id: first, status: 'dropped' },
    { registration_id: again, status: 'enrolled' },
  ]);
});
