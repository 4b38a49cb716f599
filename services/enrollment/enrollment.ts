/** The enrollment service, put together. */
import { openPool } from '#lib/database';
import { gauge } from '#lib/metrics';
import type { ServiceDefinition } from '#lib/service';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { CancelledSections } from './cancelled-sections.ts';
import { Engine, IN_FLIGHT_MAX } from './engine.ts';
import { FactsCache } from './facts.ts';
import { followers } from './followers.ts';
import { migrations } from './migrations/all.ts';
import { sagaCalls } from './saga-calls.ts';
import { studentCalls } from './student-calls.ts';

export const enrollment: ServiceDefinition = {
  name: 'enrollment',
  migrations,
  partlyCheckedMethods: [EnrollmentService.method.registerMany],
  build: (parts) => {
    const { config, database, head, logger } = parts;
    // What shows never blocks a decision: reads and sagas cannot take its connection.
    const pool = openPool(config.databaseUrl, 'decisions', IN_FLIGHT_MAX);
    const engine = new Engine({ pool, reads: database.pool, cache: new FactsCache(), head });
    gauge('registrar_decision_queue_length', 'Registrations that wait to be decided', () => engine.waiting);
    const cancelled = new CancelledSections({ query: database.query, engine, logger });
    cancelled.start();
    return {
      services: [EnrollmentService],
      routes: (router) =>
        router.service(EnrollmentService, { ...studentCalls(parts, engine), ...sagaCalls(parts, engine) }),
      followers: followers(parts),
      stop: async () => {
        await cancelled.stop();
        await pool.end();
      },
    };
  },
};
