/** For tests: a cluster of one's own with views in it, and a reader of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { type Database, inTransaction, openDatabase } from '#lib/database';
import { createLogger } from '#lib/log';
import { eventually } from '#lib/testing';
import { type Cluster, createDatabases, startCluster } from '../local/postgres.ts';
import { migrations } from './migrations/all.ts';
import { openViews, type Views } from './reader.ts';
import { TermView } from './term.ts';
import { type ConsistencyToken, NO_TOKEN, parseToken } from './token.ts';

export const REPLICAS = ['replica-1', 'replica-2'] as const;
/** A member comes back after its restart and its recovery. */
const STATES_TIMEOUT_MS = 40_000;

const INSERT_TERM = "insert into terms values ('T1', 'Fall', 'UTC', '', '', 0, 1)";

/** Starts a primary and two replicas, which a test may pause and kill. */
export async function startReading(): Promise<ReadingTest> {
  const folder = await mkdtemp(join(tmpdir(), 'registrar-views-'));
  const cluster = await startCluster({ folder, replicas: REPLICAS.length });
  await createDatabases(cluster, ['views']);
  const database = await openDatabase(cluster.url('views'), [], migrations);
  await database.query("insert into checkpoints (source, position) values ('enrollment', 0)");
  await database.query(INSERT_TERM);
  const views = await openViews({
    primaryUrl: cluster.url('views'),
    replicaUrls: REPLICAS.map((member) => cluster.url('views', member)),
    logger: createLogger('test', 'silent'),
  });
  return new ReadingTest({ folder, cluster, database, views });
}

export class ReadingTest {
  readonly cluster: Cluster;
  readonly database: Database;
  readonly views: Views;
  readonly #folder: string;
  /** Of enrollment's log, as the projector would have applied it. */
  position = 0n;

  constructor(parts: { folder: string; cluster: Cluster; database: Database; views: Views }) {
    this.#folder = parts.folder;
    this.cluster = parts.cluster;
    this.database = parts.database;
    this.views = parts.views;
  }

  async stop(): Promise<void> {
    await this.views.close();
    await this.database.close();
    await this.cluster.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** As the projector: a change and its checkpoint in one transaction. Answers the token of the change. */
  async write(): Promise<{ token: ConsistencyToken; credits: number }> {
    this.position++;
    await inTransaction(this.database.pool, { timeoutMs: undefined }, async (query) => {
      await query("update checkpoints set position = $1 where source = 'enrollment'", [this.position]);
      await query('update terms set credits_max = $1', [this.position]);
    });
    return { token: parseToken(`enrollment:${this.position}`), credits: Number(this.position) };
  }

  /** As a rebuild begins. */
  async empty(): Promise<void> {
    await inTransaction(this.database.pool, { timeoutMs: undefined }, async (query) => {
      await query('update checkpoints set position = 0');
      await query('delete from terms');
    });
  }

  /** As a rebuild ends. */
  async refill(): Promise<void> {
    await this.database.query(INSERT_TERM);
    await this.write();
  }

  /** What a reader sees, and on which member. */
  look(token: ConsistencyToken = NO_TOKEN): Promise<{ credits: number; member: string }> {
    return this.views.read(token, async (em) => {
      const term = await em.findOneOrFail(TermView, 'T1');
      const [row] = await em.execute<{ port: number }[]>('select inet_server_port() as port');
      return { credits: term.creditsMax, member: this.#memberAt(row?.port) };
    });
  }

  /** The members that answer so many reads at once. */
  async looks(times: number, token: ConsistencyToken = NO_TOKEN): Promise<string[]> {
    const seen = await Promise.all(Array.from({ length: times }, () => this.look(token)));
    return seen.map(({ member }) => member);
  }

  /** Members that answered so many reads, each of which saw what was written before it. */
  async readYourWrites(times: number): Promise<Set<string>> {
    const members = new Set<string>();
    for (let turn = 0; turn < times; turn++) {
      const { token, credits } = await this.write();
      const [first, second] = await Promise.all([this.look(token), this.look(token)]);
      for (const seen of [first, second]) {
        expect(seen.credits).toBeGreaterThanOrEqual(credits);
        members.add(seen.member);
      }
    }
    return members;
  }

  /** Goes on until this member answers such a read: it may be well some time before it follows the primary again. */
  async untilReadOn(member: string): Promise<void> {
    const isReadOn = async () => (await this.readYourWrites(1)).has(member);
    await eventually(isReadOn, { timeoutMs: STATES_TIMEOUT_MS, what: `a read on ${member}` });
  }

  /** Replay is asynchronous: waits until a member shows it. */
  async untilShown(member: string, credits: number): Promise<void> {
    await eventually(async () => {
      const seen = await this.look();
      return seen.member === member && seen.credits >= credits;
    });
  }

  states(): Record<string, string> {
    const states = this.views
      .databases()
      .map(({ address, state }) => [this.#memberAt(Number(address.split(':')[1])), state]);
    return Object.fromEntries(states);
  }

  /** Waits until the members are in these states; serving where none is named. */
  async untilStates(wanted: Record<string, string>): Promise<void> {
    const all = JSON.stringify(
      Object.fromEntries(this.cluster.members.map((name) => [name, wanted[name] ?? 'serving'])),
    );
    await eventually(() => JSON.stringify(this.states()) === all, { timeoutMs: STATES_TIMEOUT_MS, what: all });
  }

  portOf(member: string): number {
    return Number(new URL(this.cluster.url('views', member)).port);
  }

  async on(member: string, sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.cluster.url('views', member) });
    await client.connect();
    await client.query(sql);
    await client.end();
  }

  #memberAt(port: number | undefined): string {
    return this.cluster.members.find((member) => this.portOf(member) === port) ?? 'nobody';
  }
}
