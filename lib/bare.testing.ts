/** For tests of the chassis: a service that has nothing but what the chassis brings. */
import { inTransaction } from './database.ts';
import { append, type NewEvent } from './event-log.ts';
import type { ServiceDefinition } from './service.ts';
import type { ServiceUnderTest } from './testing.ts';

export const bare: ServiceDefinition = {
  name: 'catalog',
  build: () => ({ services: [], routes: () => undefined }),
};

/** Appends events to the service's log, and answers the last position. */
export async function happen(service: ServiceUnderTest, ...subjects: string[]): Promise<bigint> {
  const { database, head } = service.parts;
  const events = subjects.map(
    (subject): NewEvent => ({ type: 'test.Happened', subject, actor: 'tester', traceparent: '', json: '{}' }),
  );
  const position = await inTransaction(database.pool, { timeoutMs: undefined }, (query) => append(query, events));
  head.advance(position);
  return position;
}
