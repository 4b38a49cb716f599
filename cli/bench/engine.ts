/** Decisions of the engine alone: no HTTP, no gRPC, nothing else running; a Postgres as the platform's primary is, fsync included, without replicas. */
import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { inTransaction, openDatabase } from '#lib/database';
import { LogHead, newEvent } from '#lib/event-log';
import { SectionPublishedSchema, TermPublishedSchema } from '#proto/catalog/v1/events';
import { Materials, Mode } from '#proto/enrollment/v1/registration';
import { RegisterRequestSchema } from '#proto/enrollment/v1/service';
import { EventSchema } from '#proto/eventlog/v1/service';
import { createDatabases, startCluster } from '../../local/postgres.ts';
import { Engine } from '../../services/enrollment/engine.ts';
import { FactsCache } from '../../services/enrollment/facts.ts';
import { applyCatalog } from '../../services/enrollment/followers.ts';
import { migrations } from '../../services/enrollment/migrations/all.ts';
import { pickSections, sectionAt, TERM } from './term.ts';

const SECTIONS = 2_000;
const ASKERS = 3_000;
/** Before the clock starts: as in the rush, code that has never run is slow. */
const WARM_REGISTRATIONS = 15_000;
const TIMEOUT_MS = 30_000;

/** Registrations of five sections decided a second, once the code has run for a while. @param folder of a cluster of its own. */
export async function decideAlone(folder: string, registrations: number): Promise<number> {
  const cluster = await startCluster({ folder, replicas: 0 });
  try {
    await createDatabases(cluster, ['enrollment']);
    return await decideOn(cluster.url('enrollment'), registrations);
  } finally {
    await cluster.stop();
  }
}

async function decideOn(databaseUrl: string, registrations: number): Promise<number> {
  const database = await openDatabase(databaseUrl, [], migrations);
  try {
    const students = Array.from({ length: WARM_REGISTRATIONS + registrations }, () => randomUUID());
    await inTransaction(database.pool, { timeoutMs: TIMEOUT_MS }, async (query) => {
      // Students are known from identity's log long before the morning.
      await query('insert into students (id) select unnest($1::text[])', [students]);
      await applyCatalog(catalogEvents(), query);
    });
    const engine = new Engine({ pool: database.pool, cache: new FactsCache(), head: new LogHead(database.query) });
    await registerAll(engine, students.slice(registrations));
    const startedAt = performance.now();
    await registerAll(engine, students.slice(0, registrations));
    return registrations / ((performance.now() - startedAt) / 1000);
  } finally {
    await database.close();
  }
}

/** {@link ASKERS} ask at a time, each again when answered. */
async function registerAll(engine: Engine, students: string[]): Promise<void> {
  const waiting = students.values();
  const ask = async () => {
    for (const student of waiting) {
      const deadline = Date.now() + TIMEOUT_MS;
      await engine.register({ request: requestOf(student), actor: 'bench', traceparent: '', deadline });
    }
  };
  await Promise.all(Array.from({ length: ASKERS }, ask));
}

function requestOf(studentId: string) {
  return create(RegisterRequestSchema, {
    registrationId: randomUUID(),
    studentId,
    adds: pickSections().map((sectionId) => ({ sectionId })),
    mode: Mode.EACH,
    materials: Materials.NONE,
  });
}

function catalogEvents() {
  const about = { subject: '', actor: 'bench' };
  const course = { id: 'BENCH-1', code: 'BENCH 1', credits: 4 };
  const events = [
    newEvent(TermPublishedSchema, about, { term: { id: TERM, creditsMax: 20 }, version: 1n }),
    ...Array.from({ length: SECTIONS }, (_, index) =>
      newEvent(SectionPublishedSchema, about, { section: sectionAt(index), course, version: 1n }),
    ),
  ];
  return events.map(({ type, json }) => create(EventSchema, { type, json }));
}
