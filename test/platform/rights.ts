import { Code } from '@connectrpc/connect';
import { beforeAll, expect, test } from 'vitest';
import type { Clients } from '#lib/clients';
import { peers } from '#lib/config';
import { BillingService } from '#proto/billing/v1/service';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { CatalogService } from '#proto/catalog/v1/service';
import { Mode } from '#proto/enrollment/v1/registration';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { EventLogService } from '#proto/eventlog/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import { ProjectorService } from '#proto/projector/v1/service';
import { RecordsService } from '#proto/records/v1/service';
import type { Campus } from './campus.ts';
import { outcomesOf, type Person } from './http.ts';

/** What belongs to Anna, and what Ben may not do with it. */
interface Hers {
  registrationId: string;
  studentId: string;
  sectionId: string;
}

type Call = (clients: Clients, hers: Hers) => Promise<unknown>;

/** By service: calls with another student's token, and how each is turned down. */
const forbidden: Record<string, [string, Code, Call][]> = {
  enrollment: [
    [
      'read her registration',
      Code.NotFound,
      (clients, { registrationId }) => clients.of(EnrollmentService, 'enrollment').getRegistration({ registrationId }),
    ],
    [
      'cancel it',
      Code.NotFound,
      (clients, { registrationId }) =>
        clients.of(EnrollmentService, 'enrollment').cancelRegistration({ registrationId }),
    ],
    [
      'drop her section',
      Code.PermissionDenied,
      (clients, { studentId, sectionId }) =>
        clients.of(EnrollmentService, 'enrollment').register({
          registrationId: crypto.randomUUID(),
          studentId,
          drops: [sectionId],
          mode: Mode.EACH,
        }),
    ],
    [
      'list her enrollments',
      Code.PermissionDenied,
      (clients, { studentId }) => clients.of(EnrollmentService, 'enrollment').listEnrollments({ studentId }),
    ],
    [
      'release her seats',
      Code.PermissionDenied,
      (clients, { registrationId }) => clients.of(EnrollmentService, 'enrollment').releaseSeats({ registrationId }),
    ],
  ],
  billing: [
    [
      'read her account',
      Code.PermissionDenied,
      (clients, { studentId }) => clients.of(BillingService, 'billing').getStudentAccount({ studentId }),
    ],
    [
      'refund her tuition',
      Code.PermissionDenied,
      (clients, { registrationId, studentId }) =>
        clients.of(BillingService, 'billing').refundTuition({ registrationId, studentId }),
    ],
  ],
  records: [
    [
      'read her transcript',
      Code.PermissionDenied,
      (clients, { studentId }) => clients.of(RecordsService, 'records').listTranscript({ studentId }),
    ],
    [
      'withdraw her enrollment',
      Code.PermissionDenied,
      (clients, { registrationId, studentId }) =>
        clients.of(RecordsService, 'records').withdrawEnrollment({ registrationId, studentId }),
    ],
  ],
  bookstore: [
    [
      'take her books',
      Code.PermissionDenied,
      (clients, { registrationId }) => clients.of(BookstoreService, 'bookstore').releaseMaterials({ registrationId }),
    ],
    [
      'make a product',
      Code.PermissionDenied,
      (clients) => clients.of(BookstoreService, 'bookstore').createMaterial({ materialId: 'mine', name: 'Mine' }),
    ],
  ],
  identity: [
    [
      'see her account',
      Code.PermissionDenied,
      (clients, { studentId }) => clients.of(IdentityService, 'identity').getAccount({ accountId: studentId }),
    ],
    [
      'become staff',
      Code.PermissionDenied,
      (clients, { studentId }) =>
        clients.of(IdentityService, 'identity').grantRole({ accountId: studentId, role: 'staff' }),
    ],
  ],
  catalog: [
    [
      'change the catalog',
      Code.PermissionDenied,
      (clients) => clients.of(CatalogService, 'catalog').putSections({ sections: [] }),
    ],
  ],
  projector: [
    [
      'rebuild the views',
      Code.PermissionDenied,
      (clients) => clients.of(ProjectorService, 'projector').rebuildViews({}),
    ],
  ],
};

export function rights(running: () => Campus): void {
  let anna: Person;
  let ben: Person;
  let hers: Hers;

  beforeAll(async () => {
    const campus = running();
    [anna, ben] = await Promise.all([campus.student(), campus.student()]);
    const sectionId = await campus.section();
    const { id } = await campus.http.insist(anna, { adds: [sectionId] });
    hers = { registrationId: id, studentId: anna.id, sectionId };
    await campus.rest();
  });

  test('at the edge nobody reads, drops or cancels what is another student’s', async () => {
    const { http } = running();
    const path = `/v1/registrations/${hers.registrationId}`;

    expect(await http.ask('GET', path, { as: ben })).toMatchObject({ status: 404 });
    expect(await http.ask('DELETE', path, { as: ben })).toMatchObject({ status: 404 });
    const body = { studentId: anna.id, drops: [hers.sectionId] };
    const dropping = await http.ask('PUT', `/v1/registrations/${crypto.randomUUID()}`, { as: ben, body });
    expect(dropping).toMatchObject({ status: 403, body: { code: 'not-permitted' } });
    const reading = await http.ask('GET', `/v1/registrations?studentId=${anna.id}`, { as: ben });
    expect(reading).toMatchObject({ status: 403 });
    expect(await http.ask('GET', '/v1/registrations', { as: ben })).toMatchObject({ status: 200, body: { items: [] } });
    expect(outcomesOf(await http.register(ben, { drops: [hers.sectionId] }))).toEqual(['not-enrolled']);
    const same = await http.register(ben, { id: hers.registrationId, adds: [hers.sectionId] });
    expect(same).toMatchObject({ status: 422, body: { code: 'id-taken' } });
  });

  test('at the edge staff’s routes are closed to students, and everybody’s own to whom is unknown', async () => {
    const { http } = running();
    for (const path of ['/v1/system/servers', '/v1/sagas']) {
      expect(await http.ask('GET', path, { as: ben }), path).toMatchObject({ status: 403 });
    }
    for (const path of ['/v1/me', '/v1/me/schedule', '/v1/registrations', '/v1/system/servers']) {
      expect(await http.ask('GET', path), path).toMatchObject({ status: 401 });
    }
  });

  test.each(Object.entries(forbidden))('%s itself turns another student’s token down', async (_service, calls) => {
    const clients = running().clientsOf(ben);
    try {
      for (const [what, code, call] of calls) {
        await expect(call(clients, hers), what).rejects.toMatchObject({ code });
      }
    } finally {
      clients.close();
    }
  });

  test.each(peers)('%s shows its log to no student, and answers nobody without a good token', async (peer) => {
    const campus = running();
    // The role is not one that an account can have, whoever signed it.
    const forger = await campus.person('system');
    for (const [token, code] of [
      [ben.token, Code.PermissionDenied],
      [forger.token, Code.Unauthenticated],
      ['', Code.Unauthenticated],
    ] as const) {
      const clients = campus.clientsOf({ id: '', token });
      const reading = clients.of(EventLogService, peer).readEvents({});
      await expect(reading, token).rejects.toMatchObject({ code });
      clients.close();
    }
  });

  test('after all of it, what was hers still is', async () => {
    const campus = running();
    const { body } = await campus.http.read(`/v1/registrations/${hers.registrationId}`, { as: anna });
    expect(body).toMatchObject({ status: 'completed', items: [{ sectionId: hers.sectionId, outcome: 'enrolled' }] });
  });
}
