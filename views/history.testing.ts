/** A small campus's history, as its services' logs would tell it; and what tests need to apply it and to compare the outcome. */
import { randomUUID } from 'node:crypto';
import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import type { ServiceName } from '#lib/config';
import type { Query } from '#lib/database';
import { type NewEvent, newEvent } from '#lib/event-log';
import { ChargeStatus } from '#proto/billing/v1/billing';
import {
  DropRefundedSchema,
  TuitionChargedSchema,
  TuitionDeclinedSchema,
  TuitionRefundedSchema,
} from '#proto/billing/v1/events';
import {
  MaterialChangedSchema,
  MaterialRemovedSchema,
  MaterialsReleasedSchema,
  MaterialsReservedSchema,
} from '#proto/bookstore/v1/events';
import { Day, SectionStatus } from '#proto/catalog/v1/catalog';
import { CoursePublishedSchema, SectionPublishedSchema, TermPublishedSchema } from '#proto/catalog/v1/events';
import {
  RegistrationCompletedSchema,
  RegistrationDecidedSchema,
  RegistrationUndoneSchema,
  SeatsCountedSchema,
  SectionSeatsChangedSchema,
  WaitlistLeftSchema,
} from '#proto/enrollment/v1/events';
import { Action, Mode, Outcome, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { type Event, EventSchema } from '#proto/eventlog/v1/service';
import { DropRecordedSchema, EnrollmentRecordedSchema, EnrollmentWithdrawnSchema } from '#proto/records/v1/events';
import { projections, tables } from './all.ts';

export type Logs = Partial<Record<ServiceName, NewEvent[]>>;

/** In a fresh history each registration has a fresh id; everything else is the same each time. */
export interface Ids {
  completed: string;
  waitlisted: string;
  undone: string;
  dropping: string;
  refused: string;
  declined: string;
}

export function newIds(): Ids {
  const [completed, waitlisted, undone] = [randomUUID(), randomUUID(), randomUUID()];
  return { completed, waitlisted, undone, dropping: randomUUID(), refused: randomUUID(), declined: randomUUID() };
}

export const LECTURE = 'T1-1';
export const LAB = 'T1-2';
export const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

export function historyOf(ids: Ids): Logs {
  return {
    catalog: catalog(),
    enrollment: enrollment(ids),
    billing: billing(ids),
    bookstore: bookstore(ids),
    records: records(ids),
  };
}

export function told<D extends DescMessage>(schema: D, message: MessageInitShape<D>, traceparent = TRACE): NewEvent {
  return newEvent(schema, { subject: 'history', actor: 'test', traceparent }, message);
}

const usd = (amount: number) => ({ amount: BigInt(amount), currency: 'USD' });

export function course(title: string) {
  return { id: 'CSE-101', subject: 'CSE', code: 'CSE 101', title, description: 'Graphs and more.', credits: 4 };
}

export function section(id: string, code: string) {
  const days = [Day.MONDAY, Day.WEDNESDAY];
  const lecture = { kind: 'lecture', days, startsAt: '10:00', endsAt: '11:20', room: 'WLH 2001' };
  const final = { kind: 'final', date: '2026-12-10', startsAt: '08:00', endsAt: '11:00', room: 'WLH 2001' };
  return {
    ...{ id, code, termId: 'T1', courseId: 'CSE-101', instructors: ['Émilie Noether'], meetings: [lecture, final] },
    ...{ capacity: 2, waitlistCapacity: 5, fee: usd(2_500), status: SectionStatus.OPEN },
    materials: [{ materialId: 'book', quantity: 1 }],
  };
}

function catalog(): NewEvent[] {
  const term = { id: 'T1', name: 'Fall', timeZone: 'America/Los_Angeles', creditsMax: 18 };
  const dates = { startsOn: '2026-09-24', endsOn: '2026-12-12' };
  const old = course('Algorithms');
  return [
    told(TermPublishedSchema, { term: { ...term, ...dates }, version: 1n }),
    told(CoursePublishedSchema, { course: old, version: 1n }),
    told(SectionPublishedSchema, { section: section(LECTURE, 'A01'), course: old, version: 1n }),
    told(SectionPublishedSchema, { section: section(LAB, 'A50'), course: old, version: 1n }),
    told(CoursePublishedSchema, { course: course('Design of Algorithms'), version: 2n }),
    told(SectionPublishedSchema, {
      section: { ...section(LAB, 'A50'), status: SectionStatus.CANCELLED },
      course: course('Design of Algorithms'),
      version: 2n,
    }),
    told(TermPublishedSchema, { term: { ...term, ...dates, name: 'Fall 2026' }, version: 2n }),
  ];
}

function enrollment(ids: Ids): NewEvent[] {
  const requestedAt = timestampFromDate(new Date('2026-09-01T08:00:00Z'));
  const endedAt = timestampFromDate(new Date('2026-09-01T08:00:09Z'));
  const of = (id: string, studentId: string, status: Status, item: object) => {
    const facts = { termId: 'T1', courseId: 'CSE-101', credits: 4, fee: usd(2_500) };
    const items = [{ sectionId: LECTURE, action: Action.ADD, ...facts, ...item }];
    return { id, studentId, status, mode: Mode.EACH, items, requestedAt, ...(status > Status.PENDING && { endedAt }) };
  };
  const place = (registrationId: string, studentId: string, outcome: Outcome, waitlistNumber = 0n) => [
    { registrationId, studentId, sectionId: LECTURE, outcome, waitlistNumber },
  ];
  const seats = (version: bigint, taken: number, waitlisted = 0) => [
    { sectionId: LECTURE, capacity: 2, taken, waitlisted, version },
  ];
  const { RESERVED, ENROLLED, WAITLISTED, REFUSED, RELEASED, DROPPED } = Outcome;
  const { completed, waitlisted, undone, dropping, refused, declined } = ids;
  const full = { outcome: REFUSED, reason: 'section-full', sentence: 'It is full.', remedy: 'Choose another one.' };
  return [
    told(SectionSeatsChangedSchema, { seats: seats(1n, 0)[0] }),
    told(RegistrationDecidedSchema, {
      registration: of(completed, 'ada', Status.PENDING, { outcome: RESERVED }),
    }),
    told(SeatsCountedSchema, { seats: seats(2n, 1) }),
    told(RegistrationDecidedSchema, {
      registration: of(undone, 'ben', Status.PENDING, { outcome: RESERVED }),
    }),
    told(SeatsCountedSchema, { seats: seats(3n, 2) }),
    told(RegistrationDecidedSchema, {
      registration: of(waitlisted, 'cleo', Status.COMPLETED, { outcome: WAITLISTED, waitlistPosition: 1 }),
      enrollments: place(waitlisted, 'cleo', WAITLISTED, 7n),
    }),
    told(SeatsCountedSchema, { seats: seats(4n, 2, 1) }),
    told(RegistrationDecidedSchema, {
      registration: of(declined, 'dan', Status.PENDING, { outcome: WAITLISTED, waitlistPosition: 2 }),
      enrollments: place(declined, 'dan', WAITLISTED, 9n),
    }),
    told(SeatsCountedSchema, { seats: seats(5n, 2, 2) }),
    told(RegistrationDecidedSchema, { registration: of(refused, 'eve', Status.REFUSED, full) }),
    // The saga's calls have other traces than the request.
    told(
      RegistrationCompletedSchema,
      {
        registration: of(completed, 'ada', Status.COMPLETED, { outcome: ENROLLED }),
        enrollments: place(completed, 'ada', ENROLLED),
      },
      '',
    ),
    told(RegistrationUndoneSchema, {
      registration: { ...of(undone, 'ben', Status.UNDONE, { outcome: RELEASED }), reason: 'materials-out-of-stock' },
      enrollments: place(undone, 'ben', RELEASED),
      seats: seats(6n, 1, 2),
    }),
    told(WaitlistLeftSchema, { enrollment: place(waitlisted, 'cleo', RELEASED)[0], seats: seats(7n, 1, 1)[0] }),
    told(RegistrationDecidedSchema, {
      registration: of(dropping, 'ada', Status.PENDING, {
        action: Action.DROP,
        outcome: DROPPED,
        enrolledBy: completed,
      }),
      enrollments: place(completed, 'ada', DROPPED),
    }),
    told(SeatsCountedSchema, { seats: seats(8n, 0, 1) }),
    told(RegistrationCompletedSchema, {
      registration: of(dropping, 'ada', Status.COMPLETED, {
        action: Action.DROP,
        outcome: DROPPED,
        enrolledBy: completed,
      }),
    }),
  ];
}

function billing({ completed, undone, dropping, declined }: Ids): NewEvent[] {
  const at = timestampFromDate(new Date('2026-09-01T08:00:05Z'));
  const charge = (registrationId: string, studentId: string, status: ChargeStatus, refunded: number) => ({
    ...{ registrationId, studentId, status, termId: 'T1' },
    ...{ total: usd(100_000), refunded: usd(refunded) },
  });
  const entry = (id: string, studentId: string, registrationId: string, amount: number) => ({
    ...{ id, studentId, registrationId, termId: 'T1', kind: amount > 0 ? 'tuition' : 'refund' },
    ...{ description: 'CSE 101', amount: usd(amount), at },
  });
  return [
    told(TuitionChargedSchema, {
      charge: charge(completed, 'ada', ChargeStatus.CHARGED, 0),
      entries: [entry('e1', 'ada', completed, 100_000)],
    }),
    told(TuitionChargedSchema, {
      charge: charge(undone, 'ben', ChargeStatus.CHARGED, 0),
      entries: [entry('e2', 'ben', undone, 100_000)],
    }),
    told(TuitionDeclinedSchema, {
      charge: charge(declined, 'dan', ChargeStatus.DECLINED, 0),
      reason: 'payment-declined',
    }),
    told(TuitionRefundedSchema, {
      charge: charge(undone, 'ben', ChargeStatus.REFUNDED, 100_000),
      entries: [entry('e3', 'ben', undone, -100_000)],
    }),
    told(TuitionRefundedSchema, { charge: charge(declined, 'dan', ChargeStatus.REFUNDED, 0) }),
    told(DropRefundedSchema, {
      ...{ registrationId: dropping, studentId: 'ada' },
      charges: [charge(completed, 'ada', ChargeStatus.CHARGED, 50_000)],
      entries: [entry('e4', 'ada', dropping, -50_000)],
    }),
  ];
}

function bookstore({ completed, undone }: Ids): NewEvent[] {
  const book = (version: bigint, stock: number, reserved: number) => ({
    ...{ id: 'book', name: 'Introduction to Algorithms', price: usd(9_000) },
    ...{ version, stock, reserved, issued: 0 },
  });
  const atlas = { id: 'atlas', name: 'Atlas', price: usd(4_000), stock: 3, version: 1n };
  return [
    told(MaterialChangedSchema, { material: book(1n, 5, 0) }),
    told(MaterialChangedSchema, { material: atlas }),
    told(MaterialsReservedSchema, { registrationId: completed, studentId: 'ada', materials: [book(2n, 4, 1)] }),
    told(MaterialsReservedSchema, { registrationId: undone, studentId: 'ben', materials: [book(3n, 3, 2)] }),
    told(MaterialRemovedSchema, { material: { ...atlas, version: 2n, removed: true } }),
    told(MaterialsReleasedSchema, { registrationId: undone, studentId: 'ben', materials: [book(4n, 4, 1)] }),
    // A drop gives the copies of the registration back that had reserved them.
    told(MaterialsReleasedSchema, { registrationId: completed, studentId: 'ada', materials: [book(5n, 5, 0)] }),
  ];
}

function records({ completed, undone, dropping }: Ids): NewEvent[] {
  return [
    told(EnrollmentRecordedSchema, { registrationId: completed, studentId: 'ada' }),
    // An undo that overtook its step.
    told(EnrollmentWithdrawnSchema, { registrationId: undone, studentId: 'ben' }),
    told(DropRecordedSchema, { registrationId: dropping, studentId: 'ada' }),
  ];
}

/** As a follower would receive them: one a second from the same minute. */
export function received(events: readonly NewEvent[]): Event[] {
  return events.map((event, index) =>
    create(EventSchema, {
      ...event,
      position: BigInt(index + 1),
      at: timestampFromDate(new Date(Date.UTC(2026, 8, 1, 8, 0, index))),
    }),
  );
}

/** Applies one service's events as the projector does. */
export async function applyBatch(source: string, events: Event[], query: Query): Promise<void> {
  for (const projection of projections) if (projection.source === source) await projection.apply(events, query);
}

/** Everything that the views hold, as text that can be compared. */
export async function dumpOf(query: Query): Promise<Record<string, string[]>> {
  const content = tables.filter((table) => table !== 'sources');
  const dumps = content.map(async (table) => {
    const rows = await query<{ row: string }>(`select ${table}::text as row from ${table} order by 1`);
    return [table, rows.map(({ row }) => row)] as const;
  });
  return Object.fromEntries(await Promise.all(dumps));
}
