/** Registrations: what may be asked for, and what is stored of it: a hash, to tell a repeat from another request, and what became of it. */
import { hash } from 'node:crypto';
import { create, fromJson, type JsonValue, toBinary, toJsonString } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { invalid } from '#lib/argument';
import type { Query } from '#lib/database';
import { Refusal } from '#lib/refusal';
import {
  Action,
  type Enrollment,
  EnrollmentSchema,
  Materials,
  MaterialsSchema,
  Mode,
  ModeSchema,
  type Outcome,
  type Registration,
  RegistrationSchema,
  type SeatCount,
  SeatCountSchema,
  RegistrationStatus as Status,
} from '#proto/enrollment/v1/registration';
import { type RegisterRequest, RegisterRequestSchema } from '#proto/enrollment/v1/service';
import type { Decision } from './decide.ts';
import type { Section } from './section.ts';

const ITEMS_MAX = 20;
/** A text of at most so many characters, none of them a control character. */
const ID = /^\P{Cc}{1,100}$/u;
const PAYMENT_METHOD = /^\P{Cc}{0,200}$/u;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The request with defaults filled in, so that equal requests are equal. @throws INVALID_ARGUMENT, or a Refusal. */
export function normalized(request: RegisterRequest): RegisterRequest {
  const { adds, drops, registrationId } = request;
  const sectionIds = [...adds.map(({ sectionId }) => sectionId), ...drops];
  const fault = (sentence: string) => new ConnectError(sentence, Code.InvalidArgument);
  if (!UUID.test(registrationId)) throw invalid('registration_id', 'must be a UUID in lower case');
  if (!ID.test(request.studentId)) throw invalid('student_id', 'is missing or malformed');
  if (sectionIds.length === 0) throw fault('a registration names at least one section');
  if (adds.length > ITEMS_MAX || drops.length > ITEMS_MAX)
    throw fault(`at most ${ITEMS_MAX} adds and ${ITEMS_MAX} drops`);
  if (!sectionIds.every((id) => ID.test(id))) throw invalid('section_id', 'is missing or malformed');
  if (new Set(sectionIds).size < sectionIds.length) throw fault('a registration names each section once');
  if (new Set(adds.flatMap(({ sectionId }) => termOf(sectionId))).size > 1)
    throw fault('a registration is for one term');
  if (!PAYMENT_METHOD.test(request.paymentMethod)) throw invalid('payment_method', 'is malformed');
  // Whoever reads them later has no word for another number.
  if (!ModeSchema.value[request.mode] || !MaterialsSchema.value[request.materials])
    throw fault('mode or materials is unknown');
  const mode = request.mode || Mode.EACH;
  if (mode === Mode.ALL_OR_NOTHING && adds.length > 0 && drops.length > 0) {
    // Such a swap must keep the old seat until the new one is confirmed, which a drop of this service does not.
    throw new Refusal(
      'swap-not-offered',
      'Adds and drops cannot be all or nothing together yet.',
      'Use mode each, or two requests.',
    );
  }
  return { ...request, mode, materials: request.materials || Materials.NONE };
}

/** What stands before the class number: a registration is charged at one term's rates. Nothing for what is no section's id. */
export function termOf(sectionId: string): string[] {
  const [term, ...number] = sectionId.split('-');
  return term && number.length > 0 ? [term] : [];
}

/** Equal hashes mean equal requests. */
export function requestHash(request: RegisterRequest): string {
  return hash('sha256', toBinary(RegisterRequestSchema, request), 'base64');
}

export function registrationOf(request: RegisterRequest, decision: Decision, now: Date): Registration {
  const { registrationId: id, studentId, mode, materials, paymentMethod } = request;
  const at = timestampFromDate(now);
  const isEnded = decision.status !== Status.PENDING;
  const { status, items } = decision;
  const base = { id, studentId, mode, materials, paymentMethod, status, items, requestedAt: at };
  return create(RegistrationSchema, isEnded ? { ...base, endedAt: at } : base);
}

export function registrationText(registration: Registration): string {
  return toJsonString(RegistrationSchema, registration);
}

export function registrationFrom(json: JsonValue): Registration {
  return fromJson(RegistrationSchema, json, { ignoreUnknownFields: true });
}

export interface StoredRegistration {
  studentId: string;
  requestHash: string;
  registration: Registration;
}

/** The registrations among these ids that exist. */
export async function findRegistrations(
  query: Query,
  ids: readonly string[],
): Promise<Map<string, StoredRegistration>> {
  const rows = await query<{ id: string; student_id: string; request_hash: string; body: JsonValue }>(
    'select id, student_id, request_hash, body from registration_states where id = any($1::uuid[])',
    [ids],
  );
  return new Map(
    rows.map((row) => [
      row.id,
      { studentId: row.student_id, requestHash: row.request_hash, registration: registrationFrom(row.body) },
    ]),
  );
}

/** Registrations that were decided before a moment and have not ended, oldest first. */
export async function pendingRegistrations(
  query: Query,
  { before, limit, afterId }: { before: Date; limit: number; afterId: string },
): Promise<Registration[]> {
  const rows = await query<{ body: JsonValue }>(
    `select body from registration_states where status = 'pending' and requested_at < $1
       and ($3::uuid is null or (requested_at, id) > (select requested_at, id from registrations where id = $3))
     order by requested_at, id limit $2`,
    [before, limit, afterId || null],
  );
  return rows.map(({ body }) => registrationFrom(body));
}

/** The enrollments of a registration's own adds that have this outcome: what a step of its saga has made of them. */
export function enrollmentsOf({ id, studentId, items }: Registration, outcome: Outcome): Enrollment[] {
  return items
    .filter((item) => item.action === Action.ADD && item.outcome === outcome)
    .map(({ sectionId }) => create(EnrollmentSchema, { studentId, sectionId, registrationId: id, outcome }));
}

export function seatCountOf(section: Section): SeatCount {
  const { facts, capacity, overLimit, taken, waitlisted, version } = section;
  return create(SeatCountSchema, { sectionId: facts.id, capacity: capacity + overLimit, taken, waitlisted, version });
}
