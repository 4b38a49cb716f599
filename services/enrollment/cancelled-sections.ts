/**
 * Who is in a section that was cancelled is dropped from it, and who waits for it waits no more. Each is a registration like any other: decided by the
 * engine, told of in the log, and settled by a saga.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import type { Query } from '#lib/database';
import type { Logger } from '#lib/log';
import { Materials, Mode, RegistrationStatus as Status } from '#proto/enrollment/v1/registration';
import { type RegisterRequest, RegisterRequestSchema } from '#proto/enrollment/v1/service';
import type { Engine } from './engine.ts';

const PAUSE_MS = 2_000;
/** Few enough to stay unnoticed by students who register meanwhile. */
const AT_ONCE_MAX = 64;
const TIMEOUT_MS = 5_000;
const ACTOR = 'service:enrollment';

interface Place {
  registrationId: string;
  sectionId: string;
  studentId: string;
  status: 'enrolled' | 'waitlisted';
}

export interface CancelledSectionsOptions {
  query: Query;
  engine: Pick<Engine, 'register'>;
  logger: Logger;
}

export class CancelledSections {
  readonly #options: CancelledSectionsOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: CancelledSectionsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Drops some of those who are left; a seat that is reserved has to be enrolled or released first. @returns how many. */
  async empty(): Promise<number> {
    const { query, engine } = this.#options;
    const places = await placesIn(query);
    const deadline = Date.now() + TIMEOUT_MS;
    const answers = await Promise.all(
      places.map((place) => engine.register({ request: dropOf(place), actor: ACTOR, traceparent: '', deadline })),
    );
    return answers.filter(({ registration }) => registration.status !== Status.REFUSED).length;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Whoever could not be dropped now is found again at the next look.
      const dropped = await this.empty().catch((error: unknown) => {
        this.#options.logger.warn({ reason: String(error) }, 'a cancelled section was not emptied');
        return 0;
      });
      if (dropped < AT_ONCE_MAX) await sleep(PAUSE_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

async function placesIn(query: Query): Promise<Place[]> {
  // Nearly always there is none, and enrollments have no index by section.
  const sections = await query<{ id: string }>(
    "select id from sections where status = 'cancelled' and taken + waitlisted > 0",
  );
  if (sections.length === 0) return [];
  return query<Place>(
    `select registration_id as "registrationId", section_id as "sectionId", student_id as "studentId", status
     from enrollments where section_id = any($1) and status in ('enrolled', 'waitlisted')
     order by section_id, student_id limit $2`,
    [sections.map(({ id }) => id), AT_ONCE_MAX],
  );
}

function dropOf(place: Place): RegisterRequest {
  const { studentId, sectionId } = place;
  const words = { studentId, drops: [sectionId], mode: Mode.EACH, materials: Materials.NONE };
  return create(RegisterRequestSchema, { registrationId: idOf(place), ...words });
}

/** The same whoever asks and however often, and another once the place has become another: a UUID of the custom kind (RFC 9562, version 8). */
function idOf({ registrationId, sectionId, status }: Place): string {
  const digest = createHash('sha256')
    .update(JSON.stringify(['cancelled', registrationId, sectionId, status]))
    .digest();
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x80, 6);
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
  return digest.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
