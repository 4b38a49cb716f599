import { randomUUID } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { eventually, freshServiceDatabase } from '#lib/testing';
import { projector } from '../views/projector.ts';
import { encodeCursor } from './page.ts';
import { type Person, startEdge } from './platform.testing.ts';

const staff: Person = { id: 'registrar', roles: ['staff'] };
const student: Person = { id: 'anna', roles: ['student'] };

let viewsUrl: string;
let edge: Awaited<ReturnType<typeof startEdge>>;
let connection: Connection;
let temporal: Client;

beforeAll(async () => {
  viewsUrl = await freshServiceDatabase(projector);
  edge = await startEdge({ VIEWS_DATABASE_URL: viewsUrl });
  connection = await Connection.connect({ address: inject('temporalAddress') });
  temporal = new Client({ connection });
});
afterAll(async () => {
  await edge.stop();
  await connection.close();
});

/** As a saga looks from outside; no worker runs it, so it stays where it is. */
async function saga(outcome: string): Promise<string> {
  const workflowId = `enroll/${randomUUID()}`;
  await temporal.workflow.start('enroll', {
    workflowId,
    taskQueue: `nobody-${randomUUID()}`,
    memo: { step: 'refundTuition', error: 'the provider does not answer' },
    typedSearchAttributes: [
      { key: defineSearchAttributeKey('Outcome', 'KEYWORD'), value: outcome },
      { key: defineSearchAttributeKey('StudentId', 'KEYWORD'), value: 'anna' },
    ],
  });
  return workflowId;
}

async function listed(status: string): Promise<{ id: string }[]> {
  const items: { id: string }[] = [];
  // All that have ended on a server of all tests: two at a time would be more questions than Temporal takes from one caller.
  const limit = status === 'ended' ? 100 : 2;
  let url = `/v1/sagas?status=${status}&limit=${limit}`;
  for (let page = 0; page < 1000; page++) {
    const answer = (await edge.ask({ url, as: staff })).json();
    items.push(...answer.items);
    if (!answer.nextCursor) return items;
    url = `/v1/sagas?status=${status}&limit=${limit}&cursor=${answer.nextCursor}`;
  }
  throw new Error('the list has no end');
}

test('staff see what is stuck, where and why, and let it try again', async () => {
  const [stuck, running] = await Promise.all([saga('stuck'), saga('running')]);

  const seen = await eventually(async () => (await listed('stuck')).find(({ id }) => id === stuck));

  expect(seen).toMatchObject({
    workflow: 'enroll',
    status: 'running',
    outcome: 'stuck',
    studentId: 'anna',
    step: 'refundTuition',
    error: 'the provider does not answer',
  });
  expect((await listed('stuck')).map(({ id }) => id)).not.toContain(running);
  // Temporal lists each one a moment after it has started, and not all at once.
  const areListed = async () => {
    const ids = (await listed('running')).map(({ id }) => id);
    return [stuck, running].every((id) => ids.includes(id));
  };
  await eventually(areListed, { what: 'both sagas among the running ones' });
  const retried = await edge.ask({ method: 'POST', url: `/v1/sagas/${encodeURIComponent(stuck)}/retry`, as: staff });
  expect(retried.statusCode).toBe(202);
  const { events } = await temporal.workflow.getHandle(stuck).fetchHistory();
  expect(events?.map((event) => event.workflowExecutionSignaledEventAttributes?.signalName)).toContain('retry');
  await Promise.all([stuck, running].map((id) => temporal.workflow.getHandle(id).terminate()));
  await eventually(async () => (await listed('ended')).some(({ id }) => id === stuck));
});

test('sagas are for staff, and there is no retry of what does not run', async () => {
  expect((await edge.ask({ url: '/v1/sagas' })).statusCode).toBe(401);
  expect((await edge.ask({ url: '/v1/sagas', as: student })).statusCode).toBe(403);
  expect((await edge.ask({ url: '/v1/sagas?status=lost', as: staff })).statusCode).toBe(400);
  for (const token of [Buffer.from('forged').toString('base64url'), Buffer.from('[]').toString('base64url')]) {
    const forged = await edge.ask({ url: `/v1/sagas?cursor=${encodeCursor([token])}`, as: staff });
    expect([token, forged.statusCode, forged.json().code]).toEqual([token, 400, 'malformed-request']);
  }
  const retry = (as: Person) => edge.ask({ method: 'POST', url: '/v1/sagas/none/retry', as });
  expect((await retry(student)).statusCode).toBe(403);
  expect((await retry(staff)).statusCode).toBe(404);
});

test('with Temporal away sagas fail by its name', async () => {
  const alone = await startEdge({ VIEWS_DATABASE_URL: viewsUrl, TEMPORAL_ADDRESS: '127.0.0.1:9' });
  try {
    const answer = await alone.ask({ url: '/v1/sagas', as: staff });
    const retry = await alone.ask({ method: 'POST', url: '/v1/sagas/any/retry', as: staff });

    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ code: 'temporal-unavailable' });
    expect(retry.statusCode).toBe(503);
    expect((await alone.ask({ url: '/v1/terms' })).statusCode).toBe(200);
  } finally {
    await alone.stop();
  }
});
