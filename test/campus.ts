/** For tests across services: all of them in this process, on real Postgres, with a real provider and real sagas. */
import { randomUUID } from 'node:crypto';
import type { Client } from '@connectrpc/connect';
import { Connection, Client as TemporalClient } from '@temporalio/client';
import { Runtime } from '@temporalio/worker';
import pg from 'pg';
import { inject } from 'vitest';
import type { Clients } from '#lib/clients';
import { addressVariable, type PeerName, readConfig, type ServiceName } from '#lib/config';
import { queryOf } from '#lib/database';
import { createLogger } from '#lib/log';
import type { ServiceDefinition } from '#lib/service';
import { clientsOf, eventually, freshDatabase, type ServiceUnderTest, startForTest, tokenOf } from '#lib/testing';
import { BillingService } from '#proto/billing/v1/service';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { SectionStatus } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { Materials, Mode, type Registration, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { Health } from '../gen/grpc/health/v1/health_pb.ts';
import { buildProvider } from '../local/provider/app.ts';
import { createBook } from '../local/provider/schema.ts';
import { starter } from '../workflows/starter/starter.ts';
import { type Activities, createActivities } from '../workflows/worker/activities.ts';
import { logThrough } from '../workflows/worker/temporal-log.ts';
import { startWorker } from '../workflows/worker/worker.ts';
import { definitions } from './definitions.ts';

const TERM = 'T1';
const SETTLE_TIMEOUT_MS = 60_000;
const POOL_MAX = 2;
const USD = (amount: number) => ({ amount: BigInt(amount), currency: 'USD' });

export interface CampusOptions {
  /** Wraps the real activities, to make them fail or run twice. */
  activities?: (real: Activities) => Activities;
  sagaDeadlineSeconds?: number;
  /** What a test runs itself, as processes of their own. */
  without?: ('starter' | 'worker')[];
  /** Further variables of lib/config.ts, for all. */
  environment?: Record<string, string>;
}

export class Campus {
  readonly addresses: Partial<Record<PeerName, string[]>>;
  readonly providerUrl: string;
  readonly providerDatabaseUrl: string;
  readonly temporal: TemporalClient;
  /** With the system's token. */
  readonly clients: Clients;
  readonly services: Partial<Record<PeerName, ServiceUnderTest>>;
  /** What one more process of this campus is told, its own database aside. */
  readonly environment: Record<string, string>;
  readonly #stops: (() => Promise<unknown>)[];
  readonly #pools = new Map<string, pg.Pool>();
  #numbers = 10_000;

  constructor(
    parts: Pick<Campus, 'addresses' | 'providerUrl' | 'providerDatabaseUrl' | 'temporal' | 'services' | 'environment'>,
    stops: (() => Promise<unknown>)[],
  ) {
    this.addresses = parts.addresses;
    this.providerUrl = parts.providerUrl;
    this.providerDatabaseUrl = parts.providerDatabaseUrl;
    this.temporal = parts.temporal;
    this.services = parts.services;
    this.environment = parts.environment;
    this.clients = clientsOf(parts.addresses);
    this.#stops = stops;
  }

  get enrollment() {
    return this.clients.of(EnrollmentService, 'enrollment');
  }

  /** Publishes a section and waits until it can be registered for. Credits 4, fee 25.00. */
  async section({ capacity = 10, materials = [] as string[] } = {}): Promise<string> {
    const id = `${TERM}-${this.#numbers++}`;
    await this.clients.of(CatalogService, 'catalog').putSections({
      sections: [
        {
          id,
          termId: TERM,
          courseId: 'CSE-101',
          code: 'A01',
          capacity,
          waitlistCapacity: 5,
          fee: USD(2_500),
          materials: materials.map((materialId) => ({ materialId, quantity: 1 })),
          status: SectionStatus.OPEN,
        },
      ],
    });
    const known = () => this.rows('enrollment', 'select from sections where id = $1', [id]);
    await eventually(async () => (await known()).length > 0, { what: `section ${id} at enrollment` });
    return id;
  }

  /** As staff do. */
  async cancelSection(sectionId: string): Promise<void> {
    const catalog = this.clients.of(CatalogService, 'catalog');
    const { section } = await catalog.getSection({ sectionId });
    if (!section) throw new Error('no section was answered');
    await catalog.putSections({ sections: [{ ...section, status: SectionStatus.CANCELLED }] });
  }

  /** Puts a material on the shelf and waits until billing knows its price of 40.00. */
  async material({ stock = 10 } = {}): Promise<string> {
    const materialId = `book-${randomUUID().slice(0, 8)}`;
    await this.clients
      .of(BookstoreService, 'bookstore')
      .createMaterial({ materialId, name: 'A book', price: USD(4_000), stock });
    const known = () => this.rows('billing', 'select from material_prices where material_id = $1', [materialId]);
    await eventually(async () => (await known()).length > 0, { what: `the price of ${materialId}` });
    return materialId;
  }

  /** Asks with the student's own token. */
  async register(
    studentId: string,
    adds: string[],
    options: { drops?: string[]; card?: string; buy?: boolean; id?: string } = {},
  ): Promise<Registration> {
    const registrationId = options.id ?? randomUUID();
    const { registration } = await this.asStudent(studentId, (client) =>
      client.register({
        registrationId,
        studentId,
        adds: adds.map((sectionId) => ({ sectionId })),
        drops: options.drops ?? [],
        mode: Mode.EACH,
        paymentMethod: options.card ?? 'tok_ok',
        materials: options.buy ? Materials.BUY : Materials.NONE,
      }),
    );
    if (!registration) throw new Error('no registration was answered');
    return registration;
  }

  async asStudent<T>(studentId: string, body: (client: Client<typeof EnrollmentService>) => Promise<T>): Promise<T> {
    const clients = clientsOf(this.addresses, await tokenOf(studentId, 'student'));
    try {
      return await body(clients.of(EnrollmentService, 'enrollment'));
    } finally {
      clients.close();
    }
  }

  /** The registration once it has ended. */
  async settled(id: string): Promise<Registration> {
    return eventually(
      async () => {
        const { registration } = await this.enrollment.getRegistration({ registrationId: id });
        return registration && registration.status !== Status.PENDING ? registration : undefined;
      },
      { timeoutMs: SETTLE_TIMEOUT_MS, what: `the end of ${id}` },
    );
  }

  /** Rows of a service's own database, over a connection of the test's own: those of the service may all be busy. */
  async rows<Row>(service: PeerName, sql: string, values: unknown[] = []): Promise<Row[]> {
    const url = this.#running(service).parts.config.databaseUrl;
    const pool = this.#pools.get(url) ?? new pg.Pool({ connectionString: url, max: POOL_MAX });
    this.#pools.set(url, pool);
    return queryOf(pool)<Row>(sql, values);
  }

  /** Ends a service, as if its machine were away. */
  async stopService(name: ServiceName): Promise<void> {
    await this.#running(name).stop();
  }

  /** Starts a stopped service again: on its database and where the others know it. Answers when they reach it. */
  async startService(name: ServiceName): Promise<void> {
    const { config } = this.#running(name).parts;
    const definition = definitions.get(name);
    if (!definition) throw new Error(`there is no service ${name}`);
    const port = new URL(`http://${this.addresses[name]?.[0]}`).port;
    const own = { DATABASE_URL: config.databaseUrl, PORT: port };
    this.services[name] = await startForTest(definition, { ...this.environment, ...own });
    const reached = () =>
      this.clients
        .of(Health, name)
        .check({})
        .then(
          () => true,
          () => false,
        );
    await eventually(reached, { what: `${name} being reached again` });
  }

  #running(name: PeerName): ServiceUnderTest {
    const running = this.services[name];
    if (!running) throw new Error(`${name} is not running`);
    return running;
  }

  async stop(): Promise<void> {
    this.clients.close();
    for (const pool of this.#pools.values()) await pool.end();
    for (const stop of this.#stops.toReversed()) await stop();
  }
}

/** Starts everything; term T1 costs 100.00 a credit and allows 40 credits. */
export async function startCampus(options: CampusOptions = {}): Promise<Campus> {
  const stops: (() => Promise<unknown>)[] = [];
  const services: Partial<Record<PeerName, ServiceUnderTest>> = {};
  const addresses: Partial<Record<PeerName, string[]>> = {};
  const providerDatabaseUrl = await freshDatabase('provider');
  const providerUrl = await startProvider(providerDatabaseUrl, stops);
  const environment: Record<string, string> = {
    LOG_LEVEL: 'error',
    PAYMENT_PROVIDER_URL: providerUrl,
    SERVICE_KEY_FILE: inject('serviceKeyFile'),
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_TASK_QUEUE: `test-${randomUUID()}`,
    WORKFLOW_BUNDLE_FILE: inject('workflowBundleFile'),
    SAGA_DEADLINE_SECONDS: String(options.sagaDeadlineSeconds ?? 60),
    ...options.environment,
  };
  async function start(definition: ServiceDefinition): Promise<ServiceUnderTest> {
    const { name } = definition;
    const service = await startForTest(definition, environment);
    services[name] = service;
    addresses[name] = [service.address];
    environment[addressVariable(name)] = service.address;
    // It may be another one by then.
    stops.push(async () => services[name]?.stop());
    return service;
  }

  for (const definition of definitions.values()) await start(definition);
  if (!options.without?.includes('starter')) await start(starter);
  if (!options.without?.includes('worker')) stops.push(await startSagas(addresses, { ...options, environment }));

  const connection = await Connection.connect({ address: environment.TEMPORAL_ADDRESS ?? '' });
  stops.push(() => connection.close());
  const temporal = new TemporalClient({ connection });
  const parts = { addresses, providerUrl, providerDatabaseUrl, services, environment, temporal };
  const campus = new Campus(parts, stops);
  await openTerm(campus.clients);
  return campus;
}

/** A worker in this process. @returns what ends it */
async function startSagas(
  addresses: Campus['addresses'],
  { activities = (real) => real, environment }: CampusOptions,
): Promise<() => Promise<void>> {
  const clients = clientsOf(addresses);
  const config = readConfig('worker', { DATABASE_URL: '', ...environment });
  const logger = createLogger('worker', config.logLevel);
  if (!Runtime._instance) logThrough(logger);
  const worker = await startWorker({ config, clients, logger }, activities(createActivities(clients)));
  return async () => {
    await worker.stop();
    clients.close();
  };
}

/** @returns its base URL */
export async function startProvider(databaseUrl: string, stops: (() => Promise<unknown>)[]): Promise<string> {
  const pool = new pg.Pool({ connectionString: databaseUrl });
  await createBook(pool);
  const provider = buildProvider({ pool, slowMs: 300 });
  stops.push(async () => {
    await provider.close();
    await pool.end();
  });
  return provider.listen({ host: '127.0.0.1', port: 0 });
}

async function openTerm(clients: Clients): Promise<void> {
  const term = {
    id: TERM,
    name: 'Test term',
    timeZone: 'America/Los_Angeles',
    startsOn: '2026-09-21',
    endsOn: '2026-12-11',
    creditsMax: 40,
  };
  await clients.of(CatalogService, 'catalog').putTerms({ terms: [term] });
  const course = { id: 'CSE-101', subject: 'CSE', code: 'CSE 101', title: 'Algorithms', credits: 4 };
  await clients.of(CatalogService, 'catalog').putCourses({ courses: [course] });
  const rate = {
    termId: TERM,
    perCredit: USD(10_000),
    refunds: [{ until: '2099-12-31', percent: 50 }],
    timeZone: term.timeZone,
  };
  await clients.of(BillingService, 'billing').setTuitionRate({ rate });
}
