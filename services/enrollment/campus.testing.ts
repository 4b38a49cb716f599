/** For tests: enrollment services on one database, with sections as the catalog's log would bring them. */
import { randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape, toJsonString } from '@bufbuild/protobuf';
import type { CallOptions, Client } from '@connectrpc/connect';
import type pg from 'pg';
import type { Role } from '#lib/caller';
import { inTransaction, type Query } from '#lib/database';
import { freshServiceDatabase, type ServiceUnderTest, startForTest, tokenOf } from '#lib/testing';
import { type SectionSchema, SectionStatus } from '#proto/catalog/v1/catalog';
import { SectionPublishedSchema, TermPublishedSchema } from '#proto/catalog/v1/events';
import { Mode, type Registration } from '#proto/enrollment/v1/registration';
import { EnrollmentService, type RegisterRequest, RegisterRequestSchema } from '#proto/enrollment/v1/service';
import { type Event, EventLogService, EventSchema } from '#proto/eventlog/v1/service';
import { faultsOf } from './audit.testing.ts';
import { enrollment } from './enrollment.ts';
import { applyCatalog } from './followers.ts';

/** Nothing listens there: the followers keep trying in silence, and tests bring what they would have brought. */
const NOWHERE = '127.0.0.1:9';
const COURSE = { id: 'CSE-101', subject: 'CSE', code: 'CSE 101', title: 'Algorithms', credits: 4 };

export interface Wish {
  registrationId?: string;
  adds?: string[];
  drops?: string[];
  orWaitlist?: boolean;
  mode?: Mode;
}

export class Campus {
  readonly services: readonly ServiceUnderTest[];
  readonly #clients: Client<typeof EnrollmentService>[];
  #published = 0n;

  private constructor(services: ServiceUnderTest[]) {
    this.services = services;
    this.#clients = services.map((service) => service.client(EnrollmentService));
  }

  /** Starts instances of the service on a new database, with the term T1 of 22 credits. */
  static async open(instances = 1): Promise<Campus> {
    const environment = {
      DATABASE_URL: await freshServiceDatabase(enrollment),
      CATALOG_ADDRESS: NOWHERE,
      IDENTITY_ADDRESS: NOWHERE,
    };
    const starting = Array.from({ length: instances }, () => startForTest(enrollment, environment));
    const campus = new Campus(await Promise.all(starting));
    const term = { id: 'T1', name: 'Term 1', creditsMax: 22 };
    await campus.apply([toEvent(TermPublishedSchema, { term, version: 1n })]);
    return campus;
  }

  async close(): Promise<void> {
    await Promise.all(this.services.map((service) => service.stop()));
  }

  /** The system's client of one instance; with {@link Campus.as}, anybody's. */
  client(instance = 0): Client<typeof EnrollmentService> {
    return present(this.#clients[instance]);
  }

  get pool(): pg.Pool {
    return present(this.services[0]).parts.database.pool;
  }

  get query(): Query {
    return present(this.services[0]).parts.database.query;
  }

  /** Brings events of the catalog, as its follower does. */
  async apply(events: Event[]): Promise<void> {
    await inTransaction(this.pool, { timeoutMs: undefined }, (query) => applyCatalog(events, query));
  }

  /** Publishes an open section of one seat in T1, but for what is named, and answers its id. */
  async section(words: MessageInitShape<typeof SectionSchema> & { credits?: number } = {}): Promise<string> {
    const { credits = 1, ...rest } = words;
    const id = rest.id ?? `T1-${randomUUID()}`;
    const section = { id, termId: 'T1', courseId: COURSE.id, capacity: 1, status: SectionStatus.OPEN, ...rest };
    const course = { ...COURSE, credits };
    this.#published++;
    await this.apply([toEvent(SectionPublishedSchema, { section, course, version: this.#published })]);
    return id;
  }

  sections(count: number, words: MessageInitShape<typeof SectionSchema> = {}): Promise<string[]> {
    return Promise.all(Array.from({ length: count }, () => this.section(words)));
  }

  /** Call options that carry an account's own token. */
  async as(accountId: string, ...roles: Role[]): Promise<CallOptions> {
    const token = await tokenOf(accountId, ...(roles.length > 0 ? roles : (['student'] as const)));
    return { headers: { authorization: `Bearer ${token}` } };
  }

  /** The student asks, by their own token. */
  async register(
    studentId: string,
    wish: Wish,
    { instance = 0, ...options }: CallOptions & { instance?: number } = {},
  ): Promise<Registration> {
    const caller = await this.as(studentId);
    const { registration } = await this.client(instance).register(requestFrom(studentId, wish), {
      ...caller,
      ...options,
    });
    return present(registration);
  }

  /** The student asks for a section, and the saga carries it to enrolled. */
  async enroll(studentId: string, ...adds: string[]): Promise<Registration> {
    const { id: registrationId } = await this.register(studentId, { adds });
    await this.client().confirmSeats({ registrationId });
    return this.registration(registrationId);
  }

  async registration(registrationId: string): Promise<Registration> {
    const { registration } = await this.client().getRegistration({ registrationId });
    return present(registration);
  }

  /** What a student has, as `section outcome`, in the words of the database. */
  async places(studentId: string): Promise<Record<string, string>> {
    const rows = await this.query<{ section_id: string; status: string }>(
      "select section_id, status from enrollments where student_id = $1 and status not in ('released', 'dropped')",
      [studentId],
    );
    return Object.fromEntries(rows.map(({ section_id: id, status }) => [id, status]));
  }

  async seats(sectionId: string): Promise<{ taken: number; waitlisted: number }> {
    const [row] = await this.query<{ taken: number; waitlisted: number }>(
      'select taken, waitlisted from sections where id = $1',
      [sectionId],
    );
    return present(row);
  }

  /** Types of the events about a registration or section, oldest first, without their package. */
  async told(subject: string): Promise<(string | undefined)[]> {
    const { events } = await present(this.services[0]).client(EventLogService).readEvents({ subject });
    return events.map(({ type }) => type.split('.').at(-1));
  }

  /** What must hold at any moment and does not; nothing in the good case. */
  faults(): Promise<string[]> {
    return faultsOf(this.query);
  }
}

/** A student nobody has heard of yet. */
export function newStudent(): string {
  return `student-${randomUUID()}`;
}

export function newStudents(count: number): string[] {
  return Array.from({ length: count }, newStudent);
}

export function requestFrom(studentId: string, wish: Wish): RegisterRequest {
  const { registrationId = randomUUID(), adds = [], drops = [], orWaitlist = false, mode = Mode.EACH } = wish;
  const wanted = adds.map((sectionId) => ({ sectionId, orWaitlist }));
  return create(RegisterRequestSchema, { registrationId, studentId, adds: wanted, drops, mode });
}

/** Outcomes of a registration's items, in their order. */
export function outcomesOf({ items }: Registration): number[] {
  return items.map(({ outcome }) => outcome);
}

export function toEvent<D extends DescMessage>(schema: D, message: MessageInitShape<D>): Event {
  return create(EventSchema, { type: schema.typeName, json: toJsonString(schema, create(schema, message)) });
}

export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('it is missing');
  return value;
}
