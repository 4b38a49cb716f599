/** Sagas that Temporal has lost, or lost the memory of. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { SagaStarts } from '../workflows/starter/starter.ts';
import { Sweeper } from '../workflows/starter/sweeper.ts';
import { type Campus, startCampus } from './campus.ts';
import { Gates } from './gates.ts';
import { traces } from './traces.ts';

const gates = new Gates();
let campus: Campus;
let sweeper: Sweeper;

beforeAll(async () => {
  campus = await startCampus({ activities: (real) => gates.around(real) });
  const starts = new SagaStarts(campus.temporal, starterParts());
  sweeper = new Sweeper({
    enrollment: campus.enrollment,
    logger: starterParts().logger,
    again: (registration, signal) => starts.again(registration, signal),
  });
});
afterAll(() => campus.stop());

function starterParts() {
  const { starter } = campus.services;
  if (!starter) throw new Error('the starter is not running');
  return starter.parts;
}

test('a saga that was terminated on its way is started again, and comes to its end', async () => {
  const id = randomUUID();
  const charging = gates.before(id, 'chargeTuition');
  await campus.register('terminated', [await campus.section()], { id });
  await charging.reached;
  await campus.temporal.workflow.getHandle(`enroll/${id}`).terminate('a test');

  expect(await sweeper.sweep(0)).toBe(1);
  charging.open();

  expect((await campus.settled(id)).status).toBe(Status.COMPLETED);
  expect(await traces(campus, id)).toMatchObject({ seats: 1, transcript: 1 });
});

test('a saga that nobody remembers has ended: run again, it finds that out and undoes nothing', async () => {
  const { id } = await campus.register('remembered', [await campus.section()]);
  await campus.settled(id);
  const before = await traces(campus, id);
  const { events } = await campus.temporal.workflow.getHandle(`enroll/${id}`).fetchHistory();
  const [input] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  const again = gates.before(id, 'chargeTuition'); // and stays closed: whoever came there would time out, and be undone

  const { outcome } = await campus.temporal.workflow.execute('enroll', {
    workflowId: `enroll/${id}/again`,
    taskQueue: starterParts().config.temporal.taskQueue,
    args: [JSON.parse(Buffer.from(input?.data ?? []).toString())],
  });
  again.open();

  expect(outcome).toBe('enrolled');
  expect(await traces(campus, id)).toEqual(before);
});

test('a saga that Temporal has forgotten is found among the pending ones and started again', async () => {
  await campus.services.starter?.stop();
  // The log will not name it again, and Temporal does not know it: as after a restore from an older backup.
  const { id } = await campus.register('forgotten', [await campus.section()]);

  expect(await sweeper.sweep(0)).toBe(1);
  expect(await sweeper.sweep(0)).toBeLessThanOrEqual(1);
  const settled = await campus.settled(id);

  expect(settled.status).toBe(Status.COMPLETED);
  expect(await traces(campus, id)).toMatchObject({ seats: 1, transcript: 1 });
  expect(await sweeper.sweep(0)).toBe(0);
});
