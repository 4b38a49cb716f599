/** The bookstore service, put together. */
import type { ServiceDefinition } from '#lib/service';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { followCompletions } from './followers.ts';
import { Material } from './material.ts';
import { materialCalls } from './material-calls.ts';
import { migrations } from './migrations/all.ts';
import { Reservation, ReservationLine } from './reservation.ts';
import { reservationCalls } from './reservation-calls.ts';

export const bookstore: ServiceDefinition = {
  name: 'bookstore',
  entities: [Material, Reservation, ReservationLine],
  migrations,
  build: (parts) => ({
    services: [BookstoreService],
    routes: (router) => router.service(BookstoreService, { ...materialCalls(parts), ...reservationCalls(parts) }),
    followers: [followCompletions(parts)],
  }),
};
