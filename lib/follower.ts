/**
 * Follows another process's log. A batch of events is applied and the position stored in one transaction of the follower's own database,
 * so each event takes effect exactly once, whatever dies when.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type DescMessage, fromJson, type MessageShape } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError } from '@connectrpc/connect';
import type pg from 'pg';
import type { Event, EventLogService } from '#proto/eventlog/v1/service';
import { inTransaction, type Query, queryOf } from './database.ts';
import type { Logger } from './log.ts';

const BATCH_EVENTS_MAX = 500;
/** Received and not yet applied; beyond it the stream is not read, and HTTP/2 holds the sender. */
const BUFFER_EVENTS_MAX = 2_000;
const RECONNECT_FIRST_MS = 100;
const RECONNECT_MAX_MS = 2_000;
/** The sender's heartbeat is a second; this much silence is a dead connection. */
const SILENCE_MAX_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;

export interface CaughtUp {
  at: Date;
  position: bigint;
}

export interface FollowerLag {
  source: string;
  head: bigint;
  position: bigint;
}

interface FollowerBase {
  /** Whose log. */
  source: string;
  log: Client<typeof EventLogService>;
  pool: pg.Pool;
  logger: Logger;
  /** What it reads of the log, where that is little of it; other events come without their content. */
  types?: readonly DescMessage[];
}

export interface Applying extends FollowerBase {
  /** Applies events inside the transaction that stores the position. */
  apply(events: Event[], query: Query): Promise<void>;
}

export interface Delivering extends FollowerBase {
  /** Takes effect outside the database, before the position is stored: so it must be idempotent. */
  deliver(events: Event[], signal: AbortSignal): Promise<void>;
  /** Fewer at a time where one takes long: what was delivered when the process dies is delivered again. */
  batchMax: number;
}

/** The position was moved by somebody else: a rebuild, or a second follower. */
class CheckpointMoved extends Error {}

export class Follower {
  readonly #options: Applying | Delivering;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #head = 0n;
  #position = 0n;
  #caughtUp: CaughtUp | undefined;

  constructor(options: Applying | Delivering) {
    this.#options = options;
  }

  get lag(): FollowerLag {
    // A heartbeat may be older than what was read after it.
    return { source: this.#options.source, head: max(this.#head, this.#position), position: this.#position };
  }

  /** When the source was last heard with nothing left to apply, and where that was; undefined before. */
  get caughtUp(): CaughtUp | undefined {
    return this.#caughtUp;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends after the batch at hand. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { source, logger } = this.#options;
    let pauseMs = RECONNECT_FIRST_MS;
    while (!signal.aborted) {
      const before = this.#position;
      try {
        await this.#follow();
      } catch (error) {
        if (signal.aborted) return;
        logger[levelOf(error)]({ source, position: String(this.#position), reason: String(error) }, 'following again');
      }
      pauseMs = this.#position > before ? RECONNECT_FIRST_MS : Math.min(pauseMs * 2, RECONNECT_MAX_MS);
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One connection, from the stored position until it breaks. */
  async #follow(): Promise<void> {
    await this.#options.pool.query('insert into checkpoints (source, position) values ($1, 0) on conflict do nothing', [
      this.#options.source,
    ]);
    this.#position = await this.#storedPosition();
    // Who was stopped meanwhile would not hear of it any more.
    this.#stopping.signal.throwIfAborted();
    this.#caughtUp = undefined;
    const batchMax = 'deliver' in this.#options ? this.#options.batchMax : BATCH_EVENTS_MAX;
    const types = this.#options.types?.map(({ typeName }) => typeName) ?? [];
    const request = { afterPosition: this.#position, types };
    const received = new Received(this.#options.log, request, this.#stopping.signal);
    try {
      for (;;) {
        const { events, head, heardAt } = await received.take(batchMax);
        // First, so that the lag grows while what was read cannot take effect.
        this.#head = head;
        if (events.length > 0) await this.#take(events);
        // Without events a moved position would go unseen until the next one.
        else if ((await this.#storedPosition()) !== this.#position)
          throw new CheckpointMoved('the checkpoint was moved');
        if (this.#position >= head) this.#caughtUp = { at: heardAt, position: this.#position };
      }
    } finally {
      received.close();
    }
  }

  async #storedPosition(): Promise<bigint> {
    const { source, pool } = this.#options;
    const [stored] = await queryOf(pool)<{ position: string }>('select position from checkpoints where source = $1', [
      source,
    ]);
    if (!stored) throw new CheckpointMoved('the checkpoint was removed');
    return BigInt(stored.position);
  }

  async #take(events: Event[]): Promise<void> {
    const options = this.#options;
    const last = events.at(-1)?.position ?? this.#position;
    if (events.some(({ position }, index) => position !== this.#position + BigInt(index) + 1n))
      throw new Error(`a gap in the log of ${options.source} after ${this.#position}`);
    if ('deliver' in options) await options.deliver(events, this.#stopping.signal);
    // A crash that takes away what was applied takes its position, too: it is applied again.
    const limits = { timeoutMs: STATEMENT_TIMEOUT_MS, mayBeLost: 'apply' in options };
    await inTransaction(options.pool, limits, async (query) => {
      // First, so that a second follower waits here and then finds the position moved.
      const moved = await query(
        'update checkpoints set position = $1, at = now() where source = $2 and position = $3 returning source',
        [last, options.source, this.#position],
      );
      if (moved.length === 0) throw new CheckpointMoved('the checkpoint was moved');
      if ('apply' in options) await options.apply(events, query);
    });
    this.#position = last;
  }
}

function levelOf(error: unknown): 'debug' | 'warn' | 'error' {
  // Two instances that follow for one database take turns this way.
  if (error instanceof CheckpointMoved) return 'debug';
  // A page that is too large stays so, until somebody looks into it.
  return error instanceof ConnectError && error.code === Code.ResourceExhausted ? 'error' : 'warn';
}

interface FollowFrom {
  afterPosition: bigint;
  types: string[];
}

/** Reads the stream ahead of who applies it, so that batches grow when the follower is behind. */
class Received {
  readonly #connection = new AbortController();
  readonly #unlink: () => void;
  #events: Event[] = [];
  #head = 0n;
  #heardAt = new Date();
  #heard = false;
  #failure: unknown;
  #wake: () => void = () => undefined;
  #resume: () => void = () => undefined;
  #silence: NodeJS.Timeout | undefined;

  constructor(log: Client<typeof EventLogService>, request: FollowFrom, signal: AbortSignal) {
    const abort = () => this.#connection.abort();
    signal.addEventListener('abort', abort, { once: true });
    this.#unlink = () => signal.removeEventListener('abort', abort);
    void this.#read(log, request);
  }

  /** Up to `max` events, waiting for the first message; none at a heartbeat. @throws what ended the stream. */
  async take(max: number): Promise<{ events: Event[]; head: bigint; heardAt: Date }> {
    while (this.#events.length === 0 && !this.#heard && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#events.length === 0 && this.#failure !== undefined) throw this.#failure;
    this.#heard = false;
    const events = this.#events.splice(0, max);
    this.#resume();
    return { events, head: this.#head, heardAt: this.#heardAt };
  }

  close(): void {
    clearTimeout(this.#silence);
    this.#unlink();
    this.#connection.abort();
    this.#resume();
  }

  async #read(log: Client<typeof EventLogService>, request: FollowFrom): Promise<void> {
    const { signal } = this.#connection;
    try {
      this.#expectMore();
      for await (const { events, headPosition } of log.follow(request, { signal })) {
        this.#expectMore();
        this.#events.push(...events);
        this.#head = headPosition;
        this.#heardAt = new Date();
        this.#heard = true;
        this.#wake();
        if (this.#events.length >= BUFFER_EVENTS_MAX) await this.#untilTaken();
        if (signal.aborted) break;
      }
      this.#failure = new Error('the stream ended');
    } catch (error) {
      this.#failure = error ?? new Error('the stream broke');
    }
    this.#wake();
  }

  async #untilTaken(): Promise<void> {
    clearTimeout(this.#silence);
    while (this.#events.length >= BUFFER_EVENTS_MAX && !this.#connection.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#resume = resolve;
      });
    }
    this.#expectMore();
  }

  #expectMore(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#connection.abort(new Error('silence')), SILENCE_MAX_MS);
  }
}

function max(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}

/** The message of an event, or undefined where it is of another type. */
export function read<D extends DescMessage>(event: Event, schema: D): MessageShape<D> | undefined {
  if (event.type !== schema.typeName) return undefined;
  // A newer writer may know fields that we do not. We wrote the JSON ourselves: nobody need look for keys that come twice.
  return fromJson(schema, JSON.parse(event.json), { ignoreUnknownFields: true });
}
