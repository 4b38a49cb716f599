/** What the bookstore learns from enrollment: which registrations are completed, and so paid for and never undone. */
import type { Query } from '#lib/database';
import { Follower, read } from '#lib/follower';
import type { Parts } from '#lib/service';
import { RegistrationCompletedSchema } from '#proto/enrollment/v1/events';
import { Materials, Outcome, type Registration } from '#proto/enrollment/v1/registration';
import { type Event, EventLogService } from '#proto/eventlog/v1/service';

export function followCompletions({ clients, database, logger }: Parts): Follower {
  const log = clients.of(EventLogService, 'enrollment');
  return new Follower({
    source: 'enrollment',
    log,
    types: [RegistrationCompletedSchema],
    pool: database.pool,
    logger,
    apply: markCompleted,
  });
}

async function markCompleted(events: Event[], query: Query): Promise<void> {
  const completed = new Map(events.flatMap(completedPurchase).map((registration) => [registration.id, registration]));
  if (completed.size === 0) return;
  const registrations = [...completed.values()];
  await query(
    `insert into reservations (registration_id, student_id, state, released_sections, completed)
     select id, student_id, 'expected', '{}', true from unnest($1::uuid[], $2::text[]) as r (id, student_id) order by id
     on conflict (registration_id) do update set completed = true`,
    [registrations.map(({ id }) => id), registrations.map(({ studentId }) => studentId)],
  );
}

/** Of registrations that buy nothing there is no reservation, and none is wanted. */
function completedPurchase(event: Event): Registration[] {
  const registration = read(event, RegistrationCompletedSchema)?.registration;
  if (registration?.materials !== Materials.BUY) return [];
  const buys = registration.items.some(
    ({ outcome, materials }) => outcome === Outcome.ENROLLED && materials.length > 0,
  );
  return buys ? [registration] : [];
}
