/**
 * Chooses the database of each read: round robin over the replicas that are well and far enough, the primary where
 * there is none.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, register } from 'prom-client';
import type { Logger } from '#lib/log';
import { LagClock } from './lag.ts';
import { Member } from './member.ts';
import { isGone, ViewBehind, ViewsAway } from './replica-error.ts';
import type { ConsistencyToken } from './token.ts';

/** While nobody waits; whoever does polls at once. */
const POLL_PAUSE_MS = 250;
/** How long a read waits for a replica before it burdens the primary. */
const REPLICA_WAIT_MS = 250;
/** How long a read waits in all. */
const WAIT_MAX_MS = 2_000;
const LAG_MAX_SECONDS = 10;
const LAG_MAX_BYTES = 64 * 1024 * 1024;

export interface MemberState {
  /** host:port */
  address: string;
  role: 'primary' | 'replica';
  /** `lagging` and `lost` ones are not read. */
  state: 'serving' | 'lagging' | 'lost';
  /** Behind the primary; undefined where that is not known. */
  lagSeconds: number | undefined;
  lagBytes: number | undefined;
}

/** One read, which may be made on several members. */
export interface Reading {
  token: ConsistencyToken;
  startedAtMs: number;
  /** Replicas that broke under it. */
  failed: ReadonlySet<Member>;
}

export class Rotation {
  /** The primary first. */
  readonly members: readonly Member[];
  readonly #primary: Member;
  readonly #replicas: readonly Member[];
  readonly #lag = new LagClock();
  readonly #stopping = new AbortController();
  #turn = 0;
  #polling: Promise<void>[] = [];

  constructor(primaryUrl: string, replicaUrls: readonly string[], logger: Logger) {
    this.#primary = new Member(primaryUrl, 'primary', logger);
    this.#replicas = replicaUrls.map((url) => new Member(url, 'replica', logger));
    this.members = [this.#primary, ...this.#replicas];
  }

  /** Asks everybody once, then goes on asking. */
  async start(): Promise<void> {
    await Promise.all(this.members.map((member) => member.poll()));
    this.#polling = this.members.map((member) => this.#keepPolling(member));
    this.#measure();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.members.map((member) => member.close()));
    await Promise.all(this.#polling);
  }

  /**
   * The member that a read goes to, waiting for one to get there.
   * @throws ViewBehind where those that answer do not get there in time, ViewsAway where nobody answers.
   */
  async choose({ token, startedAtMs, failed }: Reading): Promise<Member> {
    for (;;) {
      const waitedMs = performance.now() - startedAtMs;
      const serving = this.#serving().filter((replica) => !failed.has(replica));
      const ready = serving.filter((replica) => replica.hasReached(token));
      const replica = ready[this.#turn++ % ready.length];
      if (replica) return replica;
      const mayBurden = serving.length === 0 || waitedMs >= REPLICA_WAIT_MS;
      if (mayBurden && this.#primary.answers && this.#primary.hasReached(token)) return this.#primary;
      if (waitedMs >= WAIT_MAX_MS)
        throw this.members.some(({ answers }) => answers) ? new ViewBehind() : new ViewsAway();
      const nextStepMs = waitedMs < REPLICA_WAIT_MS ? REPLICA_WAIT_MS : WAIT_MAX_MS;
      await this.#hear(mayBurden ? [...serving, this.#primary] : serving, nextStepMs - waitedMs);
    }
  }

  /** A read failed on it. */
  broke(member: Member, error: unknown): void {
    if (isGone(error)) member.suspect(error);
  }

  states(): MemberState[] {
    return this.members.map((member) => {
      const lag = this.#lagOf(member);
      return {
        address: member.address,
        role: member.role,
        state: this.#stateOf(member),
        lagSeconds: lag?.seconds,
        lagBytes: lag?.bytes,
      };
    });
  }

  #serving(): Member[] {
    return this.#replicas.filter((replica) => this.#stateOf(replica) === 'serving');
  }

  #stateOf(member: Member): MemberState['state'] {
    if (!member.answers) return 'lost';
    const lag = this.#lagOf(member);
    return lag && (lag.seconds > LAG_MAX_SECONDS || lag.bytes > LAG_MAX_BYTES) ? 'lagging' : 'serving';
  }

  #lagOf(member: Member): { bytes: number; seconds: number } | undefined {
    if (member.lsn === undefined) return undefined;
    return this.#lag.lagOf(member.lsn, performance.now());
  }

  /** Until somebody answered a new poll, or the time is over. */
  async #hear(members: readonly Member[], timeoutMs: number): Promise<void> {
    const timer = new AbortController();
    const late = sleep(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([late, ...members.map((member) => this.#poll(member))]);
    timer.abort();
  }

  async #keepPolling(member: Member): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(POLL_PAUSE_MS, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) await this.#poll(member);
    }
  }

  async #poll(member: Member): Promise<void> {
    await member.poll();
    if (member === this.#primary && member.answers && member.lsn !== undefined)
      this.#lag.sample(member.lsn, performance.now());
  }

  #measure(): void {
    const measures = [
      ['registrar_replica_lag_seconds', 'How long the primary has had what a replica lacks', 'lagSeconds'],
      ['registrar_replica_lag_bytes', 'Bytes of log that a replica has not replayed', 'lagBytes'],
    ] as const;
    for (const [name, help, measure] of measures) {
      const states = () => this.states().filter(({ role }) => role === 'replica');
      register.removeSingleMetric(name);
      new Gauge({
        name,
        help,
        labelNames: ['address'],
        collect() {
          for (const state of states()) this.set({ address: state.address }, state[measure] ?? Number.NaN);
        },
      });
    }
  }
}
