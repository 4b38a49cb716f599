/** For this folder's tests: the bookstore with an enrollment's log to follow. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import { inTransaction } from '#lib/database';
import { append, newEvent } from '#lib/event-log';
import type { ServiceDefinition } from '#lib/service';
import { eventually, type ServiceUnderTest, startForTest } from '#lib/testing';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { RegistrationCompletedSchema } from '#proto/enrollment/v1/events';
import { Materials, Outcome, type Registration, RegistrationSchema } from '#proto/enrollment/v1/registration';
import { bookstore } from './bookstore.ts';

const enrollment: ServiceDefinition = {
  name: 'enrollment',
  build: () => ({ services: [], routes: () => undefined }),
};

export interface BookstoreUnderTest {
  service: ServiceUnderTest;
  system: Client<typeof BookstoreService>;
  /** Lets enrollment complete registrations, and waits until the bookstore has heard of it. */
  complete(...registrationIds: string[]): Promise<void>;
  /** Appends any events to enrollment's log, and waits until the bookstore has applied them. */
  tell(...events: ReturnType<typeof newEvent>[]): Promise<void>;
  stop(): Promise<void>;
}

export async function startBookstore(): Promise<BookstoreUnderTest> {
  const school = await startForTest(enrollment);
  const service = await startForTest(bookstore, { ENROLLMENT_ADDRESS: school.address });
  const tell: BookstoreUnderTest['tell'] = async (...events) => {
    const { database, head } = school.parts;
    const last = await inTransaction(database.pool, { timeoutMs: undefined }, (query) => append(query, events));
    head.advance(last);
    await eventually(
      async () => {
        const [checkpoint] = await service.parts.database.query<{ position: string }>(
          "select position from checkpoints where source = 'enrollment'",
        );
        return BigInt(checkpoint?.position ?? 0) >= last;
      },
      { what: 'the bookstore having heard of it' },
    );
  };
  return {
    service,
    system: service.client(BookstoreService),
    complete: (...registrationIds) => tell(...registrationIds.map((id) => completed({ id }))),
    tell,
    stop: async () => {
      await service.stop();
      await school.stop();
    },
  };
}

/** What enrollment tells of a completed registration: anna's, who bought a material, unless said otherwise. */
export function completed(changes: MessageInitShape<typeof RegistrationSchema>): ReturnType<typeof newEvent> {
  const registration = registrationOf(changes);
  return newEvent(RegistrationCompletedSchema, { subject: registration.id, actor: 'service:worker' }, { registration });
}

export function registrationOf(changes: MessageInitShape<typeof RegistrationSchema>): Registration {
  const materials = [{ materialId: 'some-book', quantity: 1 }];
  return create(RegistrationSchema, {
    studentId: 'anna',
    materials: Materials.BUY,
    items: [{ sectionId: 'T1-0', outcome: Outcome.ENROLLED, materials }],
    ...changes,
  });
}
