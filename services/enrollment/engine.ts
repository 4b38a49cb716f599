/**
 * The seat decision. Requests queue here; up to {@link BATCH_MAX} at a time go into one transaction that locks the students, then the
 * sections, decides, and writes everything with one statement. Any number of instances may do so on one database.
 */
import { Code, ConnectError } from '@connectrpc/connect';
import type pg from 'pg';
import { Batcher, QueueFull } from '#lib/batcher';
import { inTransaction, type Query } from '#lib/database';
import { codeOf } from '#lib/database-error';
import { append, headPosition, type LogHead } from '#lib/event-log';
import type { Registration } from '#proto/enrollment/v1/registration';
import type { RegisterRequest, ValidateResponse } from '#proto/enrollment/v1/service';
import { decideAll } from './decide.ts';
import { eventsOf } from './decided-events.ts';
import type { FactsCache } from './facts.ts';
import { batchSize, decisionLatency } from './measures.ts';
import { Peak } from './peak.ts';
import { findRegistrations, registrationOf, requestHash, type StoredRegistration } from './registration.ts';
import { rounds } from './rounds.ts';
import { lockStudents, readSnapshot } from './snapshot.ts';
import { Turns } from './turns.ts';
import { writeDecided } from './write.ts';

const BATCH_MAX = 1_000;
/** While one batch is computed the other is in Postgres. */
export const IN_FLIGHT_MAX = 2;
/** A second batch that is small would rather have waited and grown: each locks the popular sections again, and each is a commit. */
const BESIDE_MIN = 256;
const QUEUE_MAX = 4_000;
/** One student's requests are decided one after the other: nobody may fill the queue with their own. */
const STUDENT_MAX = 64;
const STATEMENT_TIMEOUT_MS = 5_000;
const ATTEMPTS_ALONE_MAX = 3;

export interface Ask {
  /** Normalized; see registration.ts. */
  request: RegisterRequest;
  /** Account that asks, for the log. */
  actor: string;
  traceparent: string;
  /** Epoch milliseconds; who waits no longer is not decided any more. */
  deadline: number;
}

export interface Answer {
  registration: Registration;
  /** In this service's log, at or after the decision. */
  position: bigint;
}

export interface EngineOptions {
  /** For decisions; {@link IN_FLIGHT_MAX} connections are enough. */
  pool: pg.Pool;
  /** For what only looks, so that it takes no decision's connection; default the same. */
  reads?: pg.Pool;
  cache: FactsCache;
  head: LogHead;
  /** Requests that may wait; default {@link QUEUE_MAX}. */
  queueMax?: number;
}

export class Engine {
  readonly #pool: pg.Pool;
  readonly #reads: pg.Pool;
  readonly #cache: FactsCache;
  readonly #head: LogHead;
  readonly #batcher: Batcher<Ask, Answer>;
  /** Whose turn it is to lock sections. Who waited for their rows in Postgres would have to read each anew, as it has become meanwhile. */
  readonly #turns = new Turns();
  readonly #undecided = new Peak();
  /** Undecided requests by student. */
  readonly #ofStudents = new Map<string, number>();

  constructor({ pool, reads = pool, cache, head, queueMax = QUEUE_MAX }: EngineOptions) {
    this.#pool = pool;
    this.#reads = reads;
    this.#cache = cache;
    this.#head = head;
    this.#batcher = new Batcher({
      batchMax: BATCH_MAX,
      inFlightMax: IN_FLIGHT_MAX,
      besideMin: BESIDE_MIN,
      queueMax,
      onBatch: (size) => batchSize.observe(size),
      run: (asks) => this.#decide(asks),
    });
  }

  get waiting(): number {
    return this.#batcher.waiting;
  }

  /** The most requests that waited or were being decided at any moment of the last second. */
  get undecidedAtWorst(): number {
    this.#undecided.note(this.#batcher.unanswered);
    return this.#undecided.value;
  }

  /** @throws QueueFull; ALREADY_EXISTS for an id that was used for something else; DEADLINE_EXCEEDED. */
  async register(ask: Ask): Promise<Answer> {
    const { studentId } = ask.request;
    const own = this.#ofStudents.get(studentId) ?? 0;
    if (own >= STUDENT_MAX) throw new QueueFull(own);
    this.#ofStudents.set(studentId, own + 1);
    const end = decisionLatency.startTimer();
    this.#undecided.note(this.#batcher.unanswered);
    try {
      return await this.#batcher.submit(ask);
    } finally {
      end();
      this.#leave(studentId);
    }
  }

  #leave(studentId: string): void {
    const left = (this.#ofStudents.get(studentId) ?? 1) - 1;
    if (left > 0) this.#ofStudents.set(studentId, left);
    else this.#ofStudents.delete(studentId);
  }

  /** What `register` would decide now. */
  async validate(request: RegisterRequest, timeoutMs: number): Promise<ValidateResponse['registration']> {
    return inTransaction(this.#reads, { timeoutMs }, async (query) => {
      const snapshot = await readSnapshot(query, this.#cache, [request], { lock: false });
      const [decision] = decideAll(snapshot, [request], new Date()).decisions;
      return decision && registrationOf(request, decision, new Date());
    });
  }

  /** Each student and each id once a transaction, so that a request sees what an earlier one has written. */
  async #decide(asks: Ask[]): Promise<(Answer | Error)[]> {
    const answers = new Map<Ask, Answer | Error>();
    for (const round of rounds(asks)) {
      const now = Date.now();
      const inTime = round.filter(({ deadline }) => deadline > now);
      if (inTime.length > 0) for (const [ask, answer] of await this.#decideRound(inTime)) answers.set(ask, answer);
    }
    return asks.map((ask) => answers.get(ask) ?? tooLate());
  }

  /** A round that fails is tried again in halves, so that one bad request fails alone and costs the others little. */
  async #decideRound(asks: Ask[]): Promise<Map<Ask, Answer | Error>> {
    const [first, ...others] = asks;
    if (first && others.length === 0) return new Map([[first, await this.#decideAlone(first)]]);
    try {
      return await this.#transact(asks);
    } catch (error) {
      if (!isOfOneRequest(error)) return new Map(asks.map((ask) => [ask, asError(error)]));
    }
    const half = Math.ceil(asks.length / 2);
    return new Map([...(await this.#decideRound(asks.slice(0, half))), ...(await this.#decideRound(asks.slice(half)))]);
  }

  /** More than once, since what it met may be what another instance was just writing. */
  async #decideAlone(ask: Ask): Promise<Answer | Error> {
    for (let attempt = 1; ; attempt++) {
      try {
        const answers = await this.#transact([ask]);
        return answers.get(ask) ?? tooLate();
      } catch (error) {
        if (attempt >= ATTEMPTS_ALONE_MAX || !isOfOneRequest(error)) return asError(error);
      }
    }
  }

  async #transact(asks: Ask[]): Promise<Map<Ask, Answer | Error>> {
    let endTurn = () => {};
    const { answers, position } = await inTransaction(
      this.#pool,
      { timeoutMs: timeLeft(asks), byKey: true },
      async (query) => {
        await lockStudents(
          query,
          asks.map(({ request }) => request.studentId),
        );
        const known = await findRegistrations(
          query,
          asks.map(({ request }) => request.registrationId),
        );
        const answers = new Map<Ask, Registration | Error>();
        for (const ask of asks) {
          const stored = known.get(ask.request.registrationId);
          if (stored) answers.set(ask, repeated(ask, stored));
        }
        if (answers.size === asks.length) return { answers, position: await headPosition(query) };
        endTurn = await this.#turns.take();
        // Who waits no longer is not decided any more.
        const fresh = asks.filter((ask) => !answers.has(ask) && ask.deadline > Date.now());
        const position = fresh.length > 0 ? await this.#decideFresh(query, fresh, answers) : await headPosition(query);
        return { answers, position };
      },
    ).finally(() => endTurn());
    this.#head.advance(position);
    return new Map(
      [...answers].map(([ask, answer]) => [ask, answer instanceof Error ? answer : { registration: answer, position }]),
    );
  }

  /** Decides and writes what was not decided before, and adds it to `answers`. */
  async #decideFresh(query: Query, asks: Ask[], answers: Map<Ask, Registration | Error>): Promise<bigint> {
    const requests = asks.map(({ request }) => request);
    const now = new Date();
    const snapshot = await readSnapshot(query, this.#cache, requests, { lock: true });
    const decided = decideAll(snapshot, requests, now);
    const written = asks.map((ask, index) => {
      const decision = decided.decisions[index];
      if (!decision) throw new Error('a request was not decided');
      const registration = registrationOf(ask.request, decision, now);
      answers.set(ask, registration);
      return { ...ask, registration };
    });
    // What Postgres writes and what is told of it are made at the same time: the sections are locked meanwhile.
    const [, events] = await Promise.all([writeDecided(query, { written, decided, now }), eventsOf(written, decided)]);
    return append(query, events);
  }
}

function tooLate(): ConnectError {
  return new ConnectError('the deadline passed before the request was decided', Code.DeadlineExceeded);
}

/** What was decided when the id first came, if it came with the same content. */
function repeated({ request }: Ask, stored: StoredRegistration): Registration | Error {
  if (stored.requestHash === requestHash(request)) return stored.registration;
  return new ConnectError('this registration id was used for another request', Code.AlreadyExists);
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** The whole batch may take as long as the most patient of those who wait. */
function timeLeft(asks: Ask[]): number {
  const latest = Math.max(...asks.map(({ deadline }) => deadline));
  return Math.min(Math.max(latest - Date.now(), 1), STATEMENT_TIMEOUT_MS);
}

/** Data (22), integrity (23) and serialization (40): SQLSTATE classes that one request, of this batch or of another instance's, may have caused. */
function isOfOneRequest(error: unknown): boolean {
  return /^(22|23|40)/.test(codeOf(error));
}
