/** Registrations as clients see them, whether a service or a view tells of them. */
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { Static } from 'typebox';
import { wordOf } from '#lib/words';
import {
  ActionSchema,
  type Item,
  ModeSchema,
  OutcomeSchema,
  type Registration as RegistrationMessage,
  RegistrationStatusSchema,
} from '#proto/enrollment/v1/registration';
import { EnrollmentView } from '#views/enrollment';
import type { ItemView, RegistrationView } from '#views/registration';
import { RegistrationStepView } from '#views/step';
import type { Registration } from './schema/registration.ts';

export type RegistrationAnswer = Static<typeof Registration>;
type ItemAnswer = RegistrationAnswer['items'][number];

/** As the service answers it: without the steps of other services, and without a price. */
export function fromMessage(message: RegistrationMessage): RegistrationAnswer {
  const { id, studentId, reason, requestedAt, endedAt } = message;
  return {
    id,
    studentId,
    status: wordOf(RegistrationStatusSchema, message.status) as RegistrationAnswer['status'], // the same words
    mode: wordOf(ModeSchema, message.mode) as RegistrationAnswer['mode'], // the same words
    items: message.items.map(itemOfMessage),
    steps: [],
    ...(reason !== '' && { reason }),
    ...(requestedAt && { requestedAt: timestampDate(requestedAt).toISOString() }),
    ...(endedAt && { endedAt: timestampDate(endedAt).toISOString() }),
  };
}

function itemOfMessage(item: Item): ItemAnswer {
  const action = wordOf(ActionSchema, item.action) as ItemAnswer['action']; // the same words
  const outcome = wordOf(OutcomeSchema, item.outcome) as ItemAnswer['outcome']; // the same words
  return itemOf({ ...item, action, outcome });
}

function itemOf(item: ItemView): ItemAnswer {
  const { sectionId, action, outcome, reason, sentence, remedy, waitlistPosition = 0 } = item;
  return {
    sectionId,
    action,
    outcome,
    ...(reason && { reason }),
    ...(sentence && { detail: sentence }),
    ...(remedy && { remedy }),
    ...(outcome === 'waitlisted' && waitlistPosition > 0 && { waitlistPosition }),
  };
}

/** As the views tell it: with its steps, its price, and places on waitlists as they are now. */
export async function fromViews(em: EntityManager, views: RegistrationView[]): Promise<RegistrationAnswer[]> {
  const ids = views.map(({ id }) => id);
  if (ids.length === 0) return [];
  const steps = await em.find(
    RegistrationStepView,
    { registrationId: { $in: ids } },
    { orderBy: { place: 'asc', name: 'asc' } },
  );
  const places = await waitlistPlaces(em, views);
  return views.map((view) => {
    const own = steps.filter(({ registrationId }) => registrationId === view.id);
    return { ...fromView(view, places), steps: own.map(stepOf) };
  });
}

function fromView(view: RegistrationView, places: Map<string, number>): Omit<RegistrationAnswer, 'steps'> {
  const { id, studentId, items, reason, requestedAt, endedAt, total, currency } = view;
  return {
    id,
    studentId,
    status: view.status as RegistrationAnswer['status'], // "unspecified" is never decided
    mode: view.mode as RegistrationAnswer['mode'], // as above
    items: items.map((item) =>
      itemOf({ ...item, waitlistPosition: places.get(`${id} ${item.sectionId}`) ?? item.waitlistPosition ?? 0 }),
    ),
    ...(total != null && currency != null && { total: { amount: total, currency } }),
    ...(reason !== '' && { reason }),
    requestedAt: requestedAt.toISOString(),
    ...(endedAt && { endedAt: endedAt.toISOString() }),
  };
}

async function waitlistPlaces(em: EntityManager, views: RegistrationView[]): Promise<Map<string, number>> {
  const waiting = views.filter(({ items }) => items.some(({ outcome }) => outcome === 'waitlisted'));
  if (waiting.length === 0) return new Map();
  const ids = waiting.map(({ id }) => id);
  const studentIds = waiting.map(({ studentId }) => studentId);
  const rows = await em.find(EnrollmentView, {
    studentId: { $in: studentIds },
    registrationId: { $in: ids },
    outcome: 'waitlisted',
  });
  return new Map(
    rows.flatMap(({ registrationId, sectionId, waitlistPosition }) =>
      waitlistPosition == null ? [] : [[`${registrationId} ${sectionId}`, waitlistPosition] as const],
    ),
  );
}

function stepOf({ name, status, at }: RegistrationStepView): RegistrationAnswer['steps'][number] {
  return { name, status, at: at.toISOString() };
}
