/** For tests: every service, the projector and the edge in this process, over real databases. Used by test files only. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import pg from 'pg';
import { inject } from 'vitest';
import type { Role } from '#lib/caller';
import type { Clients } from '#lib/clients';
import { addressVariable, type PeerName, readConfig, services as serviceNames } from '#lib/config';
import { createLogger } from '#lib/log';
import {
  clientsOf,
  eventually,
  freshDatabase,
  freshServiceDatabase,
  type ServiceUnderTest,
  startForTest,
  tokenOf,
} from '#lib/testing';
import { publicJwk, readJwk, TokenVerifier } from '#lib/token';
import { type Day, SectionStatus } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { IdentityService } from '#proto/identity/v1/service';
import type { Money } from '#proto/money/v1/money';
import { openViews } from '#views/reader';
import { buildProvider } from '../local/provider/app.ts';
import { createBook } from '../local/provider/schema.ts';
import { definitions } from '../test/definitions.ts';
import { projector } from '../views/projector.ts';
import { buildApp } from './app.ts';
import { present } from './ask.ts';
import { openSagas } from './sagas.ts';

export const PASSWORD = 'registrar-demo';

/** Where no service answers. */
const NOBODY = '127.0.0.1:9';

export interface Person {
  id: string;
  roles: Role[];
}

export interface PlatformUnderTest {
  app: FastifyInstance;
  /** Of the system. */
  clients: Clients;
  services: Map<PeerName, ServiceUnderTest>;
  /** Injects a request with a token of these roles; without roles, with none. */
  ask(options: InjectOptions & { as?: Person }): Promise<LightMyRequestResponse>;
  stop(): Promise<void>;
}

/** @param environment variables of the edge that differ from their defaults. */
export async function startPlatform(environment: Record<string, string> = {}): Promise<PlatformUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-test-'));
  const signingKeyFile = join(folder, 'signing-keys.jwk');
  await writeFile(signingKeyFile, JSON.stringify({ keys: [inject('accessKey')] }));
  const services = new Map<PeerName, ServiceUnderTest>();
  const provider = await startProvider();
  const addresses: Record<string, string> = { PAYMENT_PROVIDER_URL: provider.url };
  const viewsUrl = await freshServiceDatabase(projector);
  for (const definition of [...definitions.values(), projector]) {
    const databaseUrl = definition === projector ? viewsUrl : await freshServiceDatabase(definition);
    const service = await startForTest(definition, {
      ...addresses,
      DATABASE_URL: databaseUrl,
      SIGNING_KEY_FILE: signingKeyFile,
    });
    services.set(definition.name, service);
    addresses[addressVariable(definition.name)] = service.address;
  }
  const edge = await startEdge({ ...addresses, VIEWS_DATABASE_URL: viewsUrl, ...environment });
  return {
    ...edge,
    services,
    stop: async () => {
      await edge.stop();
      await Promise.all([...services.values()].reverse().map((service) => service.stop()));
      await provider.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function startProvider() {
  const pool = new pg.Pool({ connectionString: await freshDatabase('provider') });
  await createBook(pool);
  const provider = buildProvider({ pool });
  const url = await provider.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    stop: async () => {
      await provider.close();
      await pool.end();
    },
  };
}

/** The edge alone, with services where the environment says. Verifies tokens with the tests' key, as identity's key service answers it. */
export async function startEdge(environment: Record<string, string>) {
  const config = readConfig('edge', {
    SERVICE_KEY_FILE: inject('serviceKeyFile'),
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    LOG_LEVEL: 'silent',
    RATE_PER_ADDRESS_PER_MINUTE: '100000',
    RATE_PER_ACCOUNT_PER_MINUTE: '100000',
    ...Object.fromEntries(serviceNames.map((name) => [addressVariable(name), NOBODY])),
    ...environment,
  });
  const logger = createLogger('edge', config.logLevel);
  const clients = clientsOf(config.addresses);
  const verifier = new TokenVerifier(await readJwk(config.serviceKeyFile), async () => ({
    keys: [publicJwk(inject('accessKey'))],
  }));
  const views = await openViews({
    primaryUrl: config.viewsDatabaseUrl,
    replicaUrls: inject('replicaUrls').map((url) => onReplica(url, config.viewsDatabaseUrl)),
    logger,
  });
  const sagas = openSagas(config.temporal);
  const app = await buildApp({ config, logger, clients, verifier, views, sagas });
  const ask: PlatformUnderTest['ask'] = async ({ as, ...options }) => {
    const bearer = as ? { authorization: `Bearer ${await tokenOf(as.id, ...as.roles)}` } : {};
    const answer = await app.inject({ ...options, headers: { ...bearer, ...options.headers } });
    expectStated(app, options, answer.statusCode);
    return answer;
  };
  return {
    app,
    clients,
    ask,
    stop: async () => {
      await app.close();
      await sagas.close();
      await views.close();
      clients.close();
    },
  };
}

/** Every answer of every test is one that the description states. */
function expectStated(app: FastifyInstance, { method = 'GET', url = '' }: InjectOptions, status: number): void {
  const { pathname } = new URL(String(url), 'http://edge');
  const { paths = {} } = app.swagger() as { paths?: Record<string, Record<string, { responses: object }>> }; // OpenAPI
  const template = Object.keys(paths)
    .sort((a, b) => a.split('{').length - b.split('{').length)
    .find((path) => new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`).test(pathname));
  const operation = template === undefined ? undefined : paths[template]?.[method.toLowerCase()];
  if (operation && !(status in operation.responses))
    throw new Error(`${method} ${template} answered ${status}, which its description does not state`);
}

/** The database of `primaryUrl` as a replica has it. */
function onReplica(replicaUrl: string, primaryUrl: string): string {
  const url = new URL(replicaUrl);
  url.pathname = new URL(primaryUrl).pathname;
  return url.href;
}

export interface SectionToPublish {
  capacity?: number;
  waitlistCapacity?: number;
  code?: string;
  meetings?: { kind: string; days: Day[]; startsAt: string; endsAt: string; room: string }[];
  instructors?: string[];
  status?: SectionStatus;
  fee?: Pick<Money, 'amount' | 'currency'> | undefined;
}

/** A term of the test's own, with one course and as many sections as are wanted, seen by all. Answers the sections' ids. */
export async function publishSections(platform: PlatformUnderTest, wanted: SectionToPublish[]): Promise<string[]> {
  const termId = `T${randomUUID().slice(0, 8)}`;
  const courseId = `${termId}-CSE`;
  const client = platform.clients.of(CatalogService, 'catalog');
  const dates = { startsOn: '2026-09-21', endsOn: '2099-12-12' };
  await client.putTerms({
    terms: [{ id: termId, name: 'A term', timeZone: 'America/Los_Angeles', ...dates, creditsMax: 20 }],
  });
  await client.putCourses({
    courses: [{ id: courseId, subject: 'CSE', code: 'CSE 101', title: `Algorithms of ${termId}`, credits: 4 }],
  });
  const sections = wanted.map((section, index) => ({
    id: `${termId}-${index + 1}`,
    termId,
    courseId,
    code: `A0${index + 1}`,
    instructors: ['Ada Lovelace'],
    capacity: 30,
    waitlistCapacity: 5,
    status: SectionStatus.OPEN,
    fee: { amount: 1500n, currency: 'USD' },
    ...section,
  }));
  await client.putSections({ sections });
  const ids = sections.map(({ id }) => id);
  for (const id of ids) await eventually(() => hasSeats(platform, id), { what: `seats of ${id} in the views` });
  await untilReplicated(platform);
  return ids;
}

/** Waits until all replicas show what the views show now: one may show what another does not yet. */
export async function untilReplicated({ services }: Pick<PlatformUnderTest, 'services'>): Promise<void> {
  const { query } = present('projector', services.get('projector')).parts.database;
  const [now] = await query<{ lsn: string }>('select pg_current_wal_insert_lsn() as lsn');
  const there = 'select from pg_stat_replication where replay_lsn >= $1::pg_lsn';
  const isThere = async () => (await query(there, [now?.lsn])).length === inject('replicaUrls').length;
  await eventually(isThere, { what: 'the replicas' });
}

async function hasSeats({ ask }: PlatformUnderTest, id: string): Promise<boolean> {
  const answer = await ask({ url: `/v1/sections/${id}` });
  return answer.statusCode === 200 && answer.json().seatsTaken !== null;
}

/** Accounts that can log in with {@link PASSWORD}. */
export async function putAccount({ clients }: PlatformUnderTest, id: string, ...roles: Role[]): Promise<string> {
  const email = `${id}@campus.example`;
  const account = { id, email, name: `Name of ${id}`, roles };
  await clients.of(IdentityService, 'identity').putAccounts({ accounts: [{ account, password: PASSWORD }] });
  return email;
}
