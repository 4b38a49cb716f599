import type { Static } from 'typebox';
import { expect, test } from 'vitest';
import type { ProcessName } from '#lib/config';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import type { Section } from '../../edge/schema/section.ts';
import type { Readiness } from '../../edge/schema/system.ts';
import type { Campus } from './campus.ts';
import { outcomesOf, type Person } from './http.ts';

export function outages(running: () => Campus): void {
  test('without enrollment the catalog says up to when its counts are known, and registering fails by name', async () => {
    const campus = running();
    const { http } = campus;
    const [section = '', other = ''] = await campus.sections(2);
    const student = await campus.student();
    const first = await http.insist(student, { adds: [section] });
    await campus.rest();

    await without(campus, ['enrollment'], async () => {
      const stoppedAt = new Date().toISOString();
      const shown = await http.ask<Static<typeof Section>>('GET', `/v1/sections/${section}`);
      expect(shown).toMatchObject({ status: 200, body: { seatsTaken: 1 } });
      expect(shown.body.asOf).toMatch(/^\d{4}-/);
      expect(String(shown.body.asOf) <= stoppedAt).toBe(true);
      expect(await http.ask('GET', '/v1/me/schedule', { as: student })).toMatchObject({
        status: 200,
        body: { items: [{ registrationId: first.id, section: { id: section } }], asOf: expect.any(String) },
      });
      const refused = await http.register(student, { adds: [other] });
      expect(refused).toMatchObject({ status: 503, body: { code: 'enrollment-unavailable' } });
      expect(refused.headers['retry-after']).toBeDefined();
      await campus.until('it is missed', async () => (await away(campus)).join() === 'enrollment');
    });

    expect(outcomesOf((await http.insist(student, { adds: [other] })).answer)).toEqual(['reserved']);
    await campus.until('nobody is away', async () => (await away(campus)).length === 0);
  });

  test('without billing, bookstore and identity only what needs them fails, by name', async () => {
    const campus = running();
    const { http } = campus;
    const section = await campus.section();
    const [student, staff] = await Promise.all([campus.student(), campus.person('staff')]);
    await everyInstanceKnows(campus, student);

    const id = await without(campus, ['billing', 'bookstore', 'identity'], async () => {
      await campus.until(
        'they are missed',
        async () => (await away(campus)).sort().join() === 'billing,bookstore,identity',
      );
      const logIn = await http.ask('POST', '/v1/sessions', {
        body: { email: 'a@campus.example', password: 'secret-1' },
      });
      expect(logIn).toMatchObject({ status: 503, body: { code: 'identity-unavailable' } });
      const material = { id: 'atlas', name: 'Atlas', price: { amount: 100, currency: 'USD' }, stock: 1 };
      const created = await http.ask('POST', '/v1/materials', { as: staff, body: material });
      expect(created).toMatchObject({ status: 503, body: { code: 'bookstore-unavailable' } });
      expect(await http.ask('GET', '/v1/me/account', { as: student })).toMatchObject({ status: 200 });
      // The seat is given at once; the saga charges for it when billing is back.
      const answer = await http.register(student, { adds: [section] });
      expect(answer).toMatchObject({ status: 202, body: { status: 'pending', items: [{ outcome: 'reserved' }] } });
      return answer.body.id;
    });

    await campus.rest();
    const { body } = await http.read(`/v1/registrations/${id}`, { as: student });
    expect(body).toMatchObject({ status: 'completed', items: [{ sectionId: section, outcome: 'enrolled' }] });
  });
}

/** Stops all instances of processes while `body` runs. */
async function without<T>({ platform }: Campus, names: ProcessName[], body: () => Promise<T>): Promise<T> {
  const keepers = platform.record.parts
    .filter(({ name }) => names.includes(name))
    .map(({ name, number }) => platform.part(name, number));
  await Promise.all(keepers.map((keeper) => keeper.stop()));
  try {
    return await body();
  } finally {
    await Promise.all(keepers.map((keeper) => keeper.start()));
  }
}

/** Tokens are checked with keys that each instance learns from identity when it starts. */
async function everyInstanceKnows(campus: Campus, student: Person): Promise<void> {
  for (const instance of campus.platform.record.parts.filter(({ name }) => name === 'enrollment')) {
    const clients = campus.clientsOf(student, [instance]);
    const enrollment = clients.of(EnrollmentService, 'enrollment');
    await campus.until('the instance knows who asks', () => enrollment.listEnrollments({ studentId: student.id }));
    clients.close();
  }
}

/** As the edge tells whoever watches it. */
async function away({ http }: Campus): Promise<string[]> {
  const { body } = await http.ask<Static<typeof Readiness>>('GET', '/readyz');
  return body.dependencies.filter(({ status }) => status === 'away').map(({ name }) => name);
}
