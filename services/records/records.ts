/** The records service, put together. */
import type { ServiceDefinition } from '#lib/service';
import { RecordsService } from '#proto/records/v1/service';
import { migrations } from './migrations/all.ts';
import { recordsService } from './service.ts';
import { entities } from './transcript.ts';

export const records: ServiceDefinition = {
  name: 'records',
  entities,
  migrations,
  build: (parts) => ({
    services: [RecordsService],
    routes: (router) => router.service(RecordsService, recordsService(parts)),
  }),
};
