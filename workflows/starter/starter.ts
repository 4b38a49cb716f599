/**
 * Follows enrollment's log and starts a saga for every registration that needs one. Starting is idempotent by workflow id, so events that
 * come twice start one saga; while Temporal is away the position stays where it is, and the backlog waits in the log.
 */
import { timestampDate } from '@bufbuild/protobuf/wkt';
import {
  Client,
  Connection,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { Follower, read } from '#lib/follower';
import { gauge } from '#lib/metrics';
import type { Parts, ServiceDefinition } from '#lib/service';
import { inSpan } from '#lib/trace';
import { CancellationRequestedSchema, RegistrationDecidedSchema } from '#proto/enrollment/v1/events';
import type { Registration } from '#proto/enrollment/v1/registration';
import { EnrollmentService } from '#proto/enrollment/v1/service';
import { type Event, EventLogService } from '#proto/eventlog/v1/service';
import { Admission } from './admission.ts';
import { Rush } from './rush.ts';
import { type SagaStart, sagasOf } from './saga-start.ts';
import { Sweeper } from './sweeper.ts';
import { tracedStarts } from './trace-start.ts';

/** Events delivered before the position is stored. */
const BATCH_MAX = 50;
const STARTS_AT_ONCE_MAX = 8;
const CONNECT_TIMEOUT_MS = 5_000;

const studentId = defineSearchAttributeKey('StudentId', 'KEYWORD');
const sectionId = defineSearchAttributeKey('SectionId', 'KEYWORD_LIST');
const outcome = defineSearchAttributeKey('Outcome', 'KEYWORD');

export const starter: ServiceDefinition = {
  name: 'starter',
  build: (parts) => {
    const { config, clients, database, logger } = parts;
    const connection = Connection.lazy({ address: config.temporal.address, connectTimeout: CONNECT_TIMEOUT_MS });
    const client = new Client({
      connection,
      namespace: config.temporal.namespace,
      interceptors: { workflow: [tracedStarts] },
    });
    const starts = new SagaStarts(client, parts);
    const follower = new Follower({
      source: 'enrollment',
      log: clients.of(EventLogService, 'enrollment'),
      types: [RegistrationDecidedSchema, CancellationRequestedSchema],
      pool: database.pool,
      logger,
      batchMax: BATCH_MAX,
      deliver: (events, signal) => starts.deliver(events, signal),
    });
    const enrollment = clients.of(EnrollmentService, 'enrollment');
    const sweeper = new Sweeper({
      enrollment,
      logger,
      again: (registration, signal) => starts.again(registration, signal),
    });
    sweeper.start();
    gauge('registrar_saga_backlog_events', 'Events of enrollment that no saga was started for yet', () =>
      Number(follower.lag.head - follower.lag.position),
    );
    gauge('registrar_saga_backlog_age_seconds', 'Age of the oldest of them', () => starts.backlogAgeSeconds());
    gauge('registrar_sagas_open', 'Sagas open in Temporal, without stuck ones', () => starts.open);
    return {
      services: [],
      routes: () => undefined,
      followers: [follower],
      stop: async () => {
        sweeper.stop();
        await connection.close();
      },
    };
  },
};

/** Starts and cancels sagas in Temporal, each once by its workflow id. */
export class SagaStarts {
  readonly #client: Client;
  readonly #taskQueue: string;
  readonly #deadlineMs: number;
  readonly #admission: Admission;
  readonly #rush: Rush;
  #oldest: Date | undefined;

  constructor(client: Client, { config, clients }: Parts) {
    this.#client = client;
    this.#taskQueue = config.temporal.taskQueue;
    this.#deadlineMs = config.sagaDeadlineSeconds * 1000;
    this.#admission = new Admission(client, { taskQueue: this.#taskQueue, openMax: config.sagasInFlightMax });
    const enrollment = clients.of(EnrollmentService, 'enrollment');
    this.#rush = new Rush(async () => (await enrollment.countUndecided({})).count);
  }

  get open(): number {
    return this.#admission.open;
  }

  backlogAgeSeconds(): number {
    return this.#oldest ? (Date.now() - this.#oldest.getTime()) / 1000 : 0;
  }

  /** Starts first, then cancellations: whoever cancels was started before. */
  async deliver(events: Event[], signal: AbortSignal): Promise<void> {
    const [first] = events;
    this.#oldest = first?.at && timestampDate(first.at);
    const starting = events.flatMap((event) => {
      const decided = read(event, RegistrationDecidedSchema);
      return decided?.registration
        ? sagasOf(decided.registration, this.#deadlineMs).map((start) => ({ start, event }))
        : [];
    });
    await eachOf(starting, STARTS_AT_ONCE_MAX, ({ start, event }) => this.#admit(start, signal, event.traceparent));
    for (const event of events) {
      const requested = read(event, CancellationRequestedSchema);
      if (requested) await this.#cancel(requested.registrationId);
    }
    this.#oldest = undefined;
  }

  /** Starts what a registration needs, if Temporal does not know of it. */
  async again(registration: Registration, signal: AbortSignal): Promise<void> {
    for (const start of sagasOf(registration, this.#deadlineMs)) await this.#admit(start, signal);
  }

  /** Starts it when its turn comes. */
  async #admit(start: SagaStart, signal: AbortSignal, parent?: string): Promise<void> {
    await this.#rush.giveWay(signal);
    await this.#admission.enter(signal, () =>
      inSpan(`start ${start.workflow}`, parent ? { parent } : {}, () => this.#start(start)),
    );
  }

  async #start({ workflow, registrationId, studentId: student, sectionIds, summary, input }: SagaStart): Promise<void> {
    const options: WorkflowStartOptions = {
      workflowId: `${workflow}/${registrationId}`,
      taskQueue: this.#taskQueue,
      args: [input],
      // One that was terminated, by an operator or by one of Temporal's limits, may begin again: every step is safe to repeat.
      workflowIdReusePolicy: 'ALLOW_DUPLICATE_FAILED_ONLY',
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: summary,
      typedSearchAttributes: [
        { key: studentId, value: student },
        { key: sectionId, value: sectionIds },
        { key: outcome, value: 'running' },
      ],
    };
    try {
      await this.#client.workflow.start(workflow, options);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  async #cancel(registrationId: string): Promise<void> {
    try {
      await this.#client.workflow.getHandle(`enroll/${registrationId}`).cancel();
    } catch (error) {
      // It has ended: enrollment had recorded the wish in time, so it ended as cancelled.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }
}

/** Runs `body` for each item, at most `atOnceMax` at a time. */
async function eachOf<T>(items: readonly T[], atOnceMax: number, body: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const lane = async () => {
    for (const item of queue) await body(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, items.length) }, lane));
}
