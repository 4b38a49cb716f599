import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Clients } from '#lib/clients';
import type { ServiceDefinition } from '#lib/service';
import { clientsOf, type ServiceUnderTest, startForTest } from '#lib/testing';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { CatalogService } from '#proto/catalog/v1/service';
import { EventLogService } from '#proto/eventlog/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import { billing } from '../../services/billing/billing.ts';
import { bookstore } from '../../services/bookstore/bookstore.ts';
import { catalog } from '../../services/catalog/catalog.ts';
import { identity } from '../../services/identity/identity.ts';
import { buildCampus } from './campus.ts';
import { loadCampus, loadCampusOnce } from './load.ts';

const tool = join(import.meta.dirname, '..', '..', 'tools', 'load-campus.ts');
const campus = buildCampus();
const running: ServiceUnderTest[] = [];
let clients: Clients;

beforeAll(async () => {
  const start = async (definition: ServiceDefinition, environment?: Record<string, string>) => {
    const service = await startForTest(definition, environment);
    running.push(service);
    return service.address;
  };
  // Nobody registers here, so the bookstore needs no enrollment to follow.
  const store = await start(bookstore, { ENROLLMENT_ADDRESS: '127.0.0.1:9' });
  const addresses = {
    bookstore: [store],
    billing: [await start(billing, { BOOKSTORE_ADDRESS: store })],
    catalog: [await start(catalog)],
    identity: [await start(identity)],
  };
  clients = clientsOf(addresses);
  const peers = Object.entries(addresses).map(([name, [address]]) => `${name}=${address}`);
  await promisify(execFile)(process.execPath, [tool, inject('serviceKeyFile'), ...peers]);
});
afterAll(async () => {
  clients.close();
  for (const service of running.reverse()) await service.stop();
});

function heads(): bigint[] {
  return running.map((service) => service.parts.head.position);
}

test('what containers run loads everything of the campus, and a student can log in', async () => {
  const lastSection = campus.sections.at(-1)?.id ?? '';
  const { section } = await clients.of(CatalogService, 'catalog').getSection({ sectionId: lastSection });
  expect(section).toEqual(campus.sections.at(-1));
  const { materials } = await clients.of(BookstoreService, 'bookstore').listMaterials({ limit: 500 });
  expect(materials).toHaveLength(campus.materials.length);
  const login = { email: 'student-500@campus.example', password: 'registrar-demo' };
  const { session } = await clients.of(IdentityService, 'identity').logIn(login);
  expect(session?.account).toMatchObject({ id: 'student-500', roles: ['student'] });
  const { events } = await clients.of(EventLogService, 'billing').readEvents({ subject: campus.term.id });
  expect(events).toHaveLength(1);
});

test('loading again changes nothing', async () => {
  const before = heads();
  await loadCampus(clients);
  expect(heads()).toEqual(before);
});

test('loading it once leaves alone what the registrar has changed since', async () => {
  const catalogClient = clients.of(CatalogService, 'catalog');
  const section = campus.sections[0] ?? expect.fail('the campus has no section');
  await catalogClient.putSections({ sections: [{ ...section, capacity: 7 }] });
  await loadCampusOnce(clients);
  expect((await catalogClient.getSection({ sectionId: section.id })).section?.capacity).toBe(7);
});

test('loading again leaves alone what the bookstore has changed meanwhile', async () => {
  const store = clients.of(BookstoreService, 'bookstore');
  await store.updateMaterial({ materialId: 'calculus-text', stock: 7 });
  await loadCampus(clients);
  expect((await store.getMaterial({ materialId: 'calculus-text' })).material?.stock).toBe(7);
});
