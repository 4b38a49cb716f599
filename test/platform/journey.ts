import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Connection, Client as TemporalClient } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Static } from 'typebox';
import { expect, test } from 'vitest';
import { IdentityService } from '#proto/identity/v1/service';
import type { Schedule, StudentAccount } from '../../edge/schema/me.ts';
import type { SectionPage } from '../../edge/schema/section.ts';
import type { Session } from '../../edge/schema/session.ts';
import type { Campus } from './campus.ts';
import type { RegistrationBody } from './http.ts';

const PASSWORD = 'correct-horse-battery';
const SECTIONS = 5;

export function journey(running: () => Campus): void {
  test('a student logs in, searches, asks for five sections, and is enrolled and charged', async () => {
    const campus = running();
    const { http } = campus;
    const id = `student-${randomUUID()}`;
    const email = `${id}@campus.example`;
    await campus.clients.of(IdentityService, 'identity').putAccounts({
      accounts: [{ account: { id, email, name: 'Anna', roles: ['student'] }, password: PASSWORD }],
    });
    const sections = await campus.sections(SECTIONS);

    const session = await http.ask<Static<typeof Session>>('POST', '/v1/sessions', {
      body: { email, password: PASSWORD },
    });
    expect(session).toMatchObject({ status: 201, body: { account: { id, roles: ['student'] } } });
    const anna = { id, token: session.body.accessToken };
    const found = await http.read<Static<typeof SectionPage>>('/v1/sections?q=algorithms&open=true&limit=100', {
      as: anna,
    });
    expect(found.body.items.map((section) => section.id)).toEqual(expect.arrayContaining(sections));

    const answer = await http.register(anna, { adds: sections });
    expect(answer.status).toBe(202);
    expect(answer.body.items.map(({ outcome }) => outcome)).toEqual(Array(SECTIONS).fill('reserved'));
    // Billing's part of it comes to the views by itself.
    await campus.rest();

    const { body: done } = await http.read<RegistrationBody>(`/v1/registrations/${answer.body.id}`, { as: anna });
    expect(done).toMatchObject({ status: 'completed', total: { amount: SECTIONS * (4 * 10_000 + 2_500) } });
    expect(done.items.map(({ outcome }) => outcome)).toEqual(Array(SECTIONS).fill('enrolled'));
    const schedule = await http.read<Static<typeof Schedule>>('/v1/me/schedule', { as: anna });
    expect(schedule.body.items.map(({ section }) => section.id).sort()).toEqual(sections.toSorted());
    const account = await http.read<Static<typeof StudentAccount>>('/v1/me/account', { as: anna });
    expect(account.body).toMatchObject({ balance: { amount: 0 } });
    expect(account.body.items.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['tuition', 'payment']));
  });

  test('one trace id finds a registration in logs, event logs and the workflow', async () => {
    const campus = running();
    const student = await campus.student();
    const section = await campus.section();
    const traceId = randomUUID().replaceAll('-', '');
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` };

    const answer = await campus.http.register(student, { adds: [section], headers });
    expect(answer.headers.traceparent).toMatch(new RegExp(`^00-${traceId}-`));
    const { id } = answer.body;
    await campus.rest();

    for (const name of ['edge', 'enrollment', 'billing', 'records']) {
      await campus.until(`${name} has logged the trace`, () => linesOf(campus, name, traceId).length > 0);
    }
    await campus.until('enrollment has logged the decision', () =>
      linesOf(campus, 'enrollment', traceId).some((line) => line.registrationId === id && line.status === 'pending'),
    );
    for (const database of ['enrollment', 'billing', 'records']) {
      const events = await campus.rows<{ traceparent: string }>(
        database,
        'select traceparent from events where subject = $1',
        [id],
      );
      expect(events.length, database).toBeGreaterThan(0);
      for (const { traceparent } of events) expect(traceparent, database).toMatch(new RegExp(`^00-${traceId}-`));
    }
    expect(await workflowTrace(campus, `enroll/${id}`)).toMatch(new RegExp(`^00-${traceId}-`));
  });
}

/** Of all instances of a process. */
function linesOf({ platform }: Campus, name: string, traceId: string): Record<string, unknown>[] {
  const { parts, logFolder } = platform.record;
  const files = parts
    .filter((part) => part.name === name)
    .map(({ number }) => join(logFolder, `${number === 1 ? name : `${name}-${number}`}.log`));
  return files
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    .filter((line) => line.includes(`"traceId":"${traceId}"`))
    .map((line): Record<string, unknown> => JSON.parse(line));
}

async function workflowTrace({ platform }: Campus, workflowId: string): Promise<string> {
  const connection = await Connection.connect({ address: platform.record.temporalAddress });
  try {
    const { events } = await new TemporalClient({ connection }).workflow.getHandle(workflowId).fetchHistory();
    const payload = events?.[0]?.workflowExecutionStartedEventAttributes?.header?.fields?.traceparent;
    return payload ? defaultPayloadConverter.fromPayload<string>(payload) : '';
  } finally {
    await connection.close();
  }
}
