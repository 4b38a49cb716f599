import { afterAll, beforeAll, expect, test } from 'vitest';
import { RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { SagaStarts } from '../workflows/saga-starter.ts';
import { Sweeper } from '../workflows/saga-sweeper.ts';
import { type Campus, startCampus } from './campus.ts';
import { traces } from './traces.ts';

let campus: Campus;

beforeAll(async () => {
  campus = await startCampus();
});
afterAll(() => campus.stop());

test('a saga that Temporal has forgotten is found among the pending ones and started again', async () => {
  const { starter } = campus.services;
  if (!starter) throw new Error('the starter is not running');
  await starter.stop();
  const { id } = await campus.register('forgotten', [await campus.section()]);
  // The log will not name it again, and Temporal does not know it: as after a restore from an older backup.
  const starts = new SagaStarts(campus.temporal, starter.parts);
  const { enrollment } = campus;
  const sweeper = new Sweeper({
    enrollment,
    logger: starter.parts.logger,
    again: (registration, signal) => starts.again(registration, signal),
  });

  expect(await sweeper.sweep(0)).toBe(1);
  expect(await sweeper.sweep(0)).toBeLessThanOrEqual(1);
  const settled = await campus.settled(id);

  expect(settled.status).toBe(Status.COMPLETED);
  expect(await traces(campus, id)).toMatchObject({ seats: 1, transcript: 1 });
  expect(await sweeper.sweep(0)).toBe(0);
});
