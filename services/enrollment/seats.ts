/**
 * What the saga does to a registration after it was decided, and what a student may still undo. Each call that changes a registration
 * holds its student's row, so that a cancel and a confirm take turns; each is safe to repeat.
 */
import type { JsonValue } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Query } from '#lib/database';
import { type NewEvent, newEvent } from '#lib/event-log';
import { Refusal } from '#lib/refusal';
import { wordOf } from '#lib/words';
import {
  CancellationRequestedSchema,
  RegistrationCompletedSchema,
  RegistrationProgressedSchema,
  RegistrationUndoneSchema,
} from '#proto/enrollment/v1/events';
import {
  type Enrollment,
  Mode,
  Outcome,
  type Registration,
  RegistrationStatusSchema,
  type SeatCount,
  RegistrationStatus as Status,
} from '#proto/enrollment/v1/registration';
import { enrollmentsOf, registrationFrom, registrationText } from './registration.ts';
import { changeSeats } from './seat-count.ts';

type AddsState = 'none' | 'reserved' | 'confirmed' | 'released';
type DropsState = 'none' | 'open' | 'finished';

/** A registration, locked. */
export interface Locked {
  registration: Registration;
  addsState: AddsState;
  dropsState: DropsState;
  cancelRequested: boolean;
}

/** Who causes a change, for the log. */
export interface Cause {
  actor: string;
  now: Date;
}

/** Locks a registration, by its student's row: whoever changes a registration holds that. @throws NOT_FOUND */
export async function lockRegistration(query: Query, id: string): Promise<Locked> {
  const owner = await query(
    'select from students where id = (select student_id from registrations where id = $1) for no key update',
    [id],
  );
  if (owner.length === 0) throw unknownRegistration(id);
  const [row] = await query<{
    body: JsonValue;
    adds_state: AddsState;
    drops_state: DropsState;
    cancel_requested: boolean;
  }>('select body, adds_state, drops_state, cancel_requested from registration_states where id = $1', [id]);
  if (!row) throw unknownRegistration(id);
  return {
    registration: registrationFrom(row.body),
    addsState: row.adds_state,
    dropsState: row.drops_state,
    cancelRequested: row.cancel_requested,
  };
}

/**
 * The saga takes charge of seats that are reserved already. It only looks: who cancels after this is met by {@link confirmSeats}.
 * @returns whether they are confirmed already. @throws NOT_FOUND; Refusal `released` or `cancelled`
 */
export async function reserveSeats(query: Query, id: string): Promise<boolean> {
  const [row] = await query<{ adds_state: AddsState; cancel_requested: boolean }>(
    'select adds_state, cancel_requested from registrations where id = $1',
    [id],
  );
  if (!row) throw unknownRegistration(id);
  requireSeats({ addsState: row.adds_state, cancelRequested: row.cancel_requested });
  return row.adds_state === 'confirmed';
}

/** @throws Refusal `released` or `cancelled` */
function requireSeats({ addsState, cancelRequested }: Pick<Locked, 'addsState' | 'cancelRequested'>): void {
  if (addsState === 'released') throw new Refusal('released', 'The seats of this registration were given back.');
  if (addsState === 'reserved' && cancelRequested)
    throw new Refusal('cancelled', 'The student cancelled this registration.');
}

/** Reserved seats become enrolled. @throws Refusal `released` or `cancelled` */
export async function confirmSeats(query: Query, locked: Locked, cause: Cause): Promise<NewEvent[]> {
  requireSeats(locked);
  if (locked.addsState !== 'reserved') return [];
  const { registration } = locked;
  for (const item of registration.items) if (item.outcome === Outcome.RESERVED) item.outcome = Outcome.ENROLLED;
  await query(
    "update enrollments set status = 'enrolled' where student_id = $1 and registration_id = $2 and status = 'reserved'",
    [registration.studentId, registration.id],
  );
  return settle(
    query,
    { ...locked, addsState: 'confirmed' },
    { cause, enrollments: enrollmentsOf(registration, Outcome.ENROLLED) },
  );
}

/** Seats go back. Unless drops are open, that ends the registration: as undone, or as cancelled where the student had asked. */
export async function releaseSeats(query: Query, locked: Locked, reason: string, cause: Cause): Promise<NewEvent[]> {
  if (locked.addsState === 'confirmed')
    throw new Refusal('confirmed', 'The student is enrolled: a drop gives the seats back now.');
  if (locked.addsState !== 'reserved') return [];
  const { registration } = locked;
  const undone = registration.items.filter((item) => isUndone(registration, item.outcome));
  for (const item of undone) {
    item.outcome = Outcome.RELEASED;
    item.waitlistPosition = 0;
  }
  registration.reason = locked.cancelRequested ? 'cancelled' : reason;
  const released = await query<{ section_id: string; was_waiting: boolean }>(
    `update enrollments set status = 'released', waitlist_number = null
     where student_id = $1 and registration_id = $2 and section_id = any($3) and status in ('reserved', 'waitlisted')
     returning section_id, old.status = 'waitlisted' as was_waiting`,
    [registration.studentId, registration.id, undone.map(({ sectionId }) => sectionId)],
  );
  const seats = await changeSeats(
    query,
    released.map(({ section_id: sectionId, was_waiting: wasWaiting }) =>
      wasWaiting ? { sectionId, taken: 0, waitlisted: -1 } : { sectionId, taken: -1, waitlisted: 0 },
    ),
  );
  const enrollments = enrollmentsOf(registration, Outcome.RELEASED);
  return settle(query, { ...locked, addsState: 'released' }, { cause, enrollments, seats });
}

/** All or nothing undoes places on waitlists too; otherwise they stay: they cost nothing and were granted on their own. */
function isUndone({ mode }: Registration, outcome: Outcome): boolean {
  return outcome === Outcome.RESERVED || (mode === Mode.ALL_OR_NOTHING && outcome === Outcome.WAITLISTED);
}

/** The drops of a registration are settled. */
export async function finishDrops(query: Query, locked: Locked, cause: Cause): Promise<NewEvent[]> {
  if (locked.dropsState !== 'open') return [];
  // The enrollments ended when the drops were decided.
  return settle(query, { ...locked, dropsState: 'finished' }, { cause, enrollments: [] });
}

/** @throws Refusal `registration-ended` or `drop-in-progress` */
export async function requestCancellation(query: Query, locked: Locked, cause: Cause): Promise<NewEvent[]> {
  const { registration, addsState, dropsState, cancelRequested } = locked;
  if (addsState !== 'reserved') {
    if (dropsState === 'open') {
      throw new Refusal(
        'drop-in-progress',
        'What is left of this registration is a drop that is being settled; a drop cannot be cancelled.',
        'Wait until it has ended. To take the section again, register for it again.',
      );
    }
    throw new Refusal(
      'registration-ended',
      'This registration has ended; there is nothing left to cancel.',
      'Drop the section instead.',
    );
  }
  if (cancelRequested) return [];
  await query('update registrations set cancel_requested = true where id = $1', [registration.id]);
  const { id: registrationId, studentId } = registration;
  return [newEvent(CancellationRequestedSchema, about(registration, cause), { registrationId, studentId })];
}

/** Stores what has changed and tells of it: of the end when nothing is open any more. */
async function settle(
  query: Query,
  locked: Locked,
  { cause, enrollments, seats = [] }: { cause: Cause; enrollments: Enrollment[]; seats?: SeatCount[] },
): Promise<NewEvent[]> {
  const { registration } = locked;
  await store(query, locked, cause);
  return [newEvent(schemaOf(registration.status), about(registration, cause), { registration, enrollments, seats })];
}

function schemaOf(status: Status) {
  if (status === Status.PENDING) return RegistrationProgressedSchema;
  return status === Status.COMPLETED ? RegistrationCompletedSchema : RegistrationUndoneSchema;
}

async function store(query: Query, locked: Locked, { now }: Cause): Promise<void> {
  const { registration, addsState, dropsState } = locked;
  const isOpen = addsState === 'reserved' || dropsState === 'open';
  if (!isOpen) {
    registration.status = endOf(locked);
    registration.endedAt = timestampFromDate(now);
  }
  await query(
    'update registrations set status = $2, adds_state = $3, drops_state = $4, changed = $5, ended_at = $6 where id = $1',
    [
      registration.id,
      wordOf(RegistrationStatusSchema, registration.status),
      addsState,
      dropsState,
      registrationText(registration),
      isOpen ? null : now,
    ],
  );
}

function endOf({ addsState, cancelRequested }: Locked): Status {
  if (addsState !== 'released') return Status.COMPLETED;
  return cancelRequested ? Status.CANCELLED : Status.UNDONE;
}

function unknownRegistration(id: string): ConnectError {
  return new ConnectError(`there is no registration ${id}`, Code.NotFound);
}

function about({ id }: Registration, { actor }: Cause): { subject: string; actor: string } {
  return { subject: id, actor };
}
