/** The steps of registrations, composed from what each service tells of its own. */
import { defineEntity, p } from '@mikro-orm/postgresql';
import type { ServiceName } from '#lib/config';
import {
  DropRefundedSchema,
  TuitionChargedSchema,
  TuitionDeclinedSchema,
  TuitionRefundedSchema,
} from '#proto/billing/v1/events';
import { MaterialsReleasedSchema, MaterialsReservedSchema } from '#proto/bookstore/v1/events';
import {
  RegistrationCompletedSchema,
  RegistrationDecidedSchema,
  RegistrationProgressedSchema,
  RegistrationUndoneSchema,
} from '#proto/enrollment/v1/events';
import { Action, Outcome, type Registration } from '#proto/enrollment/v1/registration';
import type { Event } from '#proto/eventlog/v1/service';
import { DropRecordedSchema, EnrollmentRecordedSchema, EnrollmentWithdrawnSchema } from '#proto/records/v1/events';
import { factOf, isoOf, type Projection, recordset } from './projection.ts';

const RegistrationStepViewEntity = defineEntity({
  name: 'RegistrationStepView',
  tableName: 'registration_step_view',
  properties: {
    registrationId: p.uuid().primary(),
    name: p.string().primary(),
    /** What a completed registration did stays done: a later drop gives back under its own id. */
    status: p.enum(['done', 'refused', 'undone'] as const),
    at: p.datetime(),
    /** Orders the steps as the saga takes them. */
    place: p.integer(),
  },
});
export class RegistrationStepView extends RegistrationStepViewEntity.class {}
RegistrationStepViewEntity.setClass(RegistrationStepView);

type StepName =
  | 'reserveSeats'
  | 'chargeTuition'
  | 'reserveMaterials'
  | 'recordEnrollment'
  | 'confirmSeats'
  | 'releaseSeats'
  | 'refundTuition'
  | 'recordDrop';

interface Step {
  registrationId: string;
  name: StepName;
  status: 'done' | 'refused' | 'undone';
}

/** Each service is the only one to tell of its steps. */
const told: Partial<Record<ServiceName, (event: Event) => Step[]>> = {
  enrollment: stepsOfEnrollment,
  billing: stepsOfBilling,
  bookstore: stepsOfBookstore,
  records: stepsOfRecords,
};

export const steps: Projection[] = Object.entries(told).map(([source, stepsIn]) => ({
  source: source as ServiceName, // a key of `told`
  async apply(events, query) {
    const rows = new Map<string, Record<string, string | null>>();
    for (const event of events) {
      for (const { registrationId, name, status } of stepsIn(event)) {
        const key = `${registrationId} ${name}`;
        const row = rows.get(key) ?? { registration_id: registrationId, name };
        row[`${status}_at`] ??= isoOf(event.at);
        rows.set(key, row);
      }
    }
    if (rows.size === 0) return;
    // The first time of each status stays, whichever comes first.
    await query(
      `insert into registration_steps (registration_id, name, done_at, refused_at, undone_at)
       select registration_id, name, done_at, refused_at, undone_at
       from jsonb_populate_recordset(null::registration_steps, $1::jsonb)
       on conflict (registration_id, name) do update set
         done_at = coalesce(registration_steps.done_at, excluded.done_at),
         refused_at = coalesce(registration_steps.refused_at, excluded.refused_at),
         undone_at = coalesce(registration_steps.undone_at, excluded.undone_at)`,
      [recordset([...rows.values()])],
    );
  },
}));

function stepsOfEnrollment(event: Event): Step[] {
  const decided = factOf(event, RegistrationDecidedSchema)?.registration;
  if (decided) {
    return [
      ...stepWhere(decided, [Action.ADD, Outcome.RESERVED], { name: 'reserveSeats', status: 'done' }),
      ...stepWhere(decided, [Action.DROP, Outcome.DROPPED], { name: 'releaseSeats', status: 'done' }),
    ];
  }
  const settled =
    factOf(event, RegistrationProgressedSchema) ??
    factOf(event, RegistrationCompletedSchema) ??
    factOf(event, RegistrationUndoneSchema);
  if (!settled?.registration) return [];
  return [
    ...stepWhere(settled.registration, [Action.ADD, Outcome.ENROLLED], { name: 'confirmSeats', status: 'done' }),
    ...stepWhere(settled.registration, [Action.ADD, Outcome.RELEASED], { name: 'reserveSeats', status: 'undone' }),
  ];
}

/** The step, where an item has come to this outcome by it. */
function stepWhere(
  { id: registrationId, items }: Registration,
  [action, outcome]: [Action, Outcome],
  step: Omit<Step, 'registrationId'>,
): Step[] {
  const happened = items.some((item) => item.action === action && item.outcome === outcome);
  return happened ? [{ registrationId, ...step }] : [];
}

function stepsOfBilling(event: Event): Step[] {
  const refund = factOf(event, DropRefundedSchema);
  if (refund) return [{ registrationId: refund.registrationId, name: 'refundTuition', status: 'done' }];
  const outcomes = [
    [factOf(event, TuitionChargedSchema), 'done'],
    [factOf(event, TuitionDeclinedSchema), 'refused'],
    [factOf(event, TuitionRefundedSchema), 'undone'],
  ] as const;
  return outcomes.flatMap(([fact, status]) =>
    fact?.charge ? [{ registrationId: fact.charge.registrationId, name: 'chargeTuition', status }] : [],
  );
}

function stepsOfBookstore(event: Event): Step[] {
  const reserved = factOf(event, MaterialsReservedSchema);
  if (reserved) return [{ registrationId: reserved.registrationId, name: 'reserveMaterials', status: 'done' }];
  const released = factOf(event, MaterialsReleasedSchema);
  return released ? [{ registrationId: released.registrationId, name: 'reserveMaterials', status: 'undone' }] : [];
}

function stepsOfRecords(event: Event): Step[] {
  const recorded = factOf(event, EnrollmentRecordedSchema);
  if (recorded) return [{ registrationId: recorded.registrationId, name: 'recordEnrollment', status: 'done' }];
  const withdrawn = factOf(event, EnrollmentWithdrawnSchema);
  if (withdrawn) return [{ registrationId: withdrawn.registrationId, name: 'recordEnrollment', status: 'undone' }];
  const dropped = factOf(event, DropRecordedSchema);
  return dropped ? [{ registrationId: dropped.registrationId, name: 'recordDrop', status: 'done' }] : [];
}
