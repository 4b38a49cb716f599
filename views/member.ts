/** One database of the views, as it is known from asking it again and again how far it is. */
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { ServiceName } from '#lib/config';
import type { Logger } from '#lib/log';
import { type ConsistencyToken, isReached } from './token.ts';

/** A database that hangs is lost after the pause between polls and this. */
const POLL_TIMEOUT_MS = 600;
/** In steps, so that a process that was busy for a while itself reads what has arrived before it gives up. */
const POLL_TIMEOUT_STEPS = 4;
/** However many readers wait, no member is asked more often, and one that is lost much less. */
const POLL_GAP_MS = 5;
const LOST_POLL_GAP_MS = 100;

/** A standby tells what it replayed, a primary what it wrote. */
const POLL = `
  select (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end - '0/0')::text
    as lsn,
    (select json_object_agg(source, position::text) from checkpoints) as positions,
    (select json_object_agg(source, as_of) from sources) as as_of`;

interface PollRow {
  lsn: string;
  positions: Record<string, string> | null;
  as_of: Record<string, string> | null;
}

export type Role = 'primary' | 'replica';

export class Member {
  readonly url: string;
  readonly role: Role;
  /** host:port */
  readonly address: string;
  readonly #logger: Logger;
  /** Of every connection to this database, ours and the readers'. */
  readonly #sockets = new Set<Socket>();
  #client: pg.Client | undefined;
  #polling: Promise<void> | undefined;
  #polledAtMs = 0;
  #answers = false;
  #closed = false;
  #known: { lsn: bigint; positions: Map<string, bigint>; asOf: Map<string, Date> } | undefined;

  constructor(url: string, role: Role, logger: Logger) {
    this.url = url;
    this.role = role;
    this.address = new URL(url).host;
    this.#logger = logger;
  }

  /** False from a poll that failed to the next one that does not. */
  get answers(): boolean {
    return this.#answers;
  }

  /** Bytes of write-ahead log this database has. */
  get lsn(): bigint | undefined {
    return this.#known?.lsn;
  }

  /** Whether it is known to show at least this; it may show more by now. */
  hasReached(token: ConsistencyToken): boolean {
    return isReached(token, this.#known?.positions ?? new Map());
  }

  asOf(service: ServiceName): Date | undefined {
    return this.#known?.asOf.get(service);
  }

  /**
   * A socket for a connection to this database. It ends when the database is found lost: what hangs on it fails then,
   * and can go elsewhere.
   */
  openSocket(): Socket {
    const socket = new Socket();
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    return socket;
  }

  /** Asks how far it is; never fails. Whoever comes while a poll is under way shares it. */
  poll(): Promise<void> {
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
  }

  /** A read broke here: nothing goes here until a poll says that it is well. */
  suspect(reason: unknown): void {
    this.#lose(reason);
    void this.poll();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#answers = false;
    this.#endSockets();
    await this.#polling;
    this.#endSockets();
  }

  async #poll(): Promise<void> {
    const gapMs = this.#answers ? POLL_GAP_MS : LOST_POLL_GAP_MS;
    // By a clock that nobody sets back.
    const pauseMs = this.#polledAtMs + gapMs - performance.now();
    if (pauseMs > 0) await sleep(pauseMs);
    this.#polledAtMs = performance.now();
    if (this.#closed) return;
    try {
      this.#learn(await Promise.race([this.#ask(), noAnswer()]));
    } catch (error) {
      this.#lose(error);
    }
  }

  async #ask(): Promise<PollRow> {
    this.#client ??= await this.#connect();
    const { rows } = await this.#client.query<PollRow>(POLL);
    if (!rows[0]) throw new Error('a select without a from answers one row');
    return rows[0];
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url, stream: () => this.openSocket() });
    // The next poll meets the broken connection; without a listener it would end the process.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  #learn({ lsn, positions, as_of }: PollRow): void {
    this.#known = {
      lsn: BigInt(lsn),
      positions: new Map(Object.entries(positions ?? {}).map(([source, position]) => [source, BigInt(position)])),
      asOf: new Map(Object.entries(as_of ?? {}).map(([source, at]) => [source, new Date(at)])),
    };
    if (!this.#answers) this.#logger.info({ address: this.address, role: this.role }, 'views can be read here');
    this.#answers = true;
  }

  #lose(reason: unknown): void {
    const { address, role } = this;
    if (this.#answers) this.#logger.warn({ address, role, reason: String(reason) }, 'views cannot be read here');
    this.#answers = false;
    this.#endSockets();
  }

  #endSockets(): void {
    this.#client = undefined;
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function noAnswer(): Promise<never> {
  for (let step = 0; step < POLL_TIMEOUT_STEPS; step++) {
    await sleep(POLL_TIMEOUT_MS / POLL_TIMEOUT_STEPS, undefined, { ref: false });
  }
  throw new Error(`no answer within ${POLL_TIMEOUT_MS} ms`);
}
