/** Registrations as their students see them: what was decided and what became of it. */
import { defineEntity, p } from '@mikro-orm/postgresql';
import { wordOf } from '#lib/words';
import { type Charge, ChargeStatus } from '#proto/billing/v1/billing';
import { DropRefundedSchema, TuitionChargedSchema, TuitionRefundedSchema } from '#proto/billing/v1/events';
import {
  RegistrationCompletedSchema,
  RegistrationDecidedSchema,
  RegistrationProgressedSchema,
  RegistrationUndoneSchema,
} from '#proto/enrollment/v1/events';
import {
  ActionSchema,
  type Item,
  ModeSchema,
  OutcomeSchema,
  type Registration,
  RegistrationStatusSchema,
} from '#proto/enrollment/v1/registration';
import type { Event } from '#proto/eventlog/v1/service';
import { factOf, isoOf, type Projection, type Row, upsert } from './projection.ts';

const REGISTRATION_STATUSES = ['unspecified', 'pending', 'completed', 'undone', 'refused', 'cancelled'] as const;

/** One section of a registration. `waitlistPosition` is as it was decided; EnrollmentView knows how it is now. */
export interface ItemView {
  sectionId: string;
  action: 'add' | 'drop';
  outcome: 'reserved' | 'enrolled' | 'waitlisted' | 'refused' | 'released' | 'dropped';
  /** Of a refusal. */
  reason?: string;
  sentence?: string;
  remedy?: string;
  waitlistPosition?: number;
}

const RegistrationViewEntity = defineEntity({
  name: 'RegistrationView',
  tableName: 'registration_view',
  properties: {
    id: p.uuid().primary(),
    studentId: p.string(),
    status: p.enum(REGISTRATION_STATUSES),
    mode: p.enum(['unspecified', 'each', 'all-or-nothing'] as const),
    items: p.json<ItemView[]>(),
    /** Why it was undone; empty otherwise. */
    reason: p.string(),
    requestedAt: p.datetime(),
    endedAt: p.datetime().nullable(),
    /** W3C trace context of the request. */
    traceparent: p.string(),
    /** The price, in minor units, once billing charged it, and what was given back of it since. */
    total: p.bigint('number').nullable(),
    refunded: p.bigint('number').nullable(),
    currency: p.string().nullable(),
  },
});
export class RegistrationView extends RegistrationViewEntity.class {}
RegistrationViewEntity.setClass(RegistrationView);

export const registrations: Projection = {
  source: 'enrollment',
  async apply(events, query) {
    const newest = new Map<string, Row>();
    for (const event of events) {
      const registration = registrationIn(event);
      if (!registration) continue;
      // The trace is that of the request, which is the first event of a registration.
      const traceparent = newest.get(registration.id)?.traceparent ?? event.traceparent;
      newest.set(registration.id, { ...rowOf(registration), traceparent });
    }
    await upsert(query, { table: 'registrations', key: ['id'], keep: ['traceparent'] }, [...newest.values()]);
  },
};

/** The registration as it is after an event that carries it. */
export function registrationIn(event: Event): Registration | undefined {
  const fact =
    factOf(event, RegistrationDecidedSchema) ??
    factOf(event, RegistrationProgressedSchema) ??
    factOf(event, RegistrationCompletedSchema) ??
    factOf(event, RegistrationUndoneSchema);
  return fact?.registration;
}

function rowOf(registration: Registration): Row {
  return {
    id: registration.id,
    student_id: registration.studentId,
    status: wordOf(RegistrationStatusSchema, registration.status),
    mode: wordOf(ModeSchema, registration.mode),
    items: registration.items.map(itemOf),
    reason: registration.reason,
    requested_at: isoOf(registration.requestedAt),
    ended_at: isoOf(registration.endedAt),
  };
}

function itemOf({ sectionId, action, outcome, reason, sentence, remedy, waitlistPosition }: Item): ItemView {
  return {
    sectionId,
    action: wordOf(ActionSchema, action) as ItemView['action'], // the same words
    outcome: wordOf(OutcomeSchema, outcome) as ItemView['outcome'], // the same words
    ...(reason && { reason }),
    ...(sentence && { sentence }),
    ...(remedy && { remedy }),
    ...(waitlistPosition && { waitlistPosition }),
  };
}

/** What registrations cost; rows of their own, since billing may be heard before enrollment. */
export const charges: Projection = {
  source: 'billing',
  async apply(events, query) {
    const newest = new Map<string, Charge>();
    for (const charge of events.flatMap(chargesIn)) newest.set(charge.registrationId, charge);
    const rows = [...newest.values()].map(({ registrationId, total, refunded }) => ({
      registration_id: registrationId,
      total: total?.amount ?? 0n,
      refunded: refunded?.amount ?? 0n,
      currency: total?.currency ?? '',
    }));
    await upsert(query, { table: 'registration_charges', key: ['registration_id'] }, rows);
  },
};

/** The charges that took money; one that was declined, or forbidden before it came, did not. */
function chargesIn(event: Event): Charge[] {
  const charge = (factOf(event, TuitionChargedSchema) ?? factOf(event, TuitionRefundedSchema))?.charge;
  const charges = charge ? [charge] : (factOf(event, DropRefundedSchema)?.charges ?? []);
  return charges.filter(({ status, refunded }) => status === ChargeStatus.CHARGED || (refunded?.amount ?? 0n) > 0n);
}
