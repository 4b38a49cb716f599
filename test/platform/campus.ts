/** For tests of the whole platform: its real processes, and students who use them over HTTP. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Static } from 'typebox';
import type { Role } from '#lib/caller';
import { Clients } from '#lib/clients';
import type { PeerName } from '#lib/config';
import { eventually } from '#lib/testing';
import { accessTokenSigner } from '#lib/token';
import { BillingService } from '#proto/billing/v1/service';
import { SectionStatus } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';
import { connect } from '../../cli/connect.ts';
import type { Servers } from '../../edge/schema/system.ts';
import { type Platform, startPlatform } from '../../local/platform.ts';
import type { PartRecord } from '../../local/platform-record.ts';
import type { Cluster } from '../../local/postgres.ts';
import { Http, type Person } from './http.ts';

const TERM = 'T1';
const CREDITS = 4;
const CLASS_NUMBER_FIRST = 10_000;
const USD = (amount: number) => ({ amount: BigInt(amount), currency: 'USD' });
const POOL_MAX = 2;
/** However slow the machine, what does not come true within this never will. */
export const WAIT_TIMEOUT_MS = 150_000;

type Sign = Awaited<ReturnType<typeof accessTokenSigner>>;

interface Parts {
  platform: Platform;
  clients: Clients;
  sign: Sign;
}

export class Campus {
  readonly platform: Platform;
  /** Of the operator, who may do everything. */
  readonly clients: Clients;
  readonly http: Http;
  readonly #sign: Sign;
  readonly #pools = new Map<string, pg.Pool>();
  #classNumber = CLASS_NUMBER_FIRST;

  constructor({ platform, clients, sign }: Parts) {
    this.platform = platform;
    this.clients = clients;
    this.#sign = sign;
    this.http = new Http(platform.record.edgeUrl);
  }

  get cluster(): Cluster {
    const { cluster } = this.platform;
    if (!cluster) throw new Error('the platform has no cluster of its own');
    return cluster;
  }

  /** Somebody with a token as identity would sign it. */
  async person(...roles: Role[]): Promise<Person> {
    const id = `${roles[0] ?? 'nobody'}-${randomUUID()}`;
    return { id, token: await this.#sign(id, roles) };
  }

  student(): Promise<Person> {
    return this.person('student');
  }

  students(count: number): Promise<Person[]> {
    return Promise.all(Array.from({ length: count }, () => this.student()));
  }

  /** Publishes open sections and waits until they can be registered for and are shown, on whichever replica. */
  async sections(count: number, { capacity = 1_000 } = {}): Promise<string[]> {
    const ids = Array.from({ length: count }, () => `${TERM}-${this.#classNumber++}`);
    const common = { termId: TERM, courseId: 'CSE-101', code: 'A01', status: SectionStatus.OPEN, fee: USD(2_500) };
    await this.clients
      .of(CatalogService, 'catalog')
      .putSections({ sections: ids.map((id) => ({ ...common, id, capacity })) }, { timeoutMs: 30_000 });
    await this.until('sections are known to enrollment and shown', async () => {
      const known = await this.rows('enrollment', 'select from sections where id = any($1)', [ids]);
      const shown = await this.rows(
        'views',
        'select from sections join section_seats on section_id = id where id = any($1)',
        [ids],
      );
      return known.length === count && shown.length === count;
    });
    await this.untilReplicated();
    return ids;
  }

  async section(options: { capacity?: number } = {}): Promise<string> {
    const [id = ''] = await this.sections(1, options);
    return id;
  }

  /** Clients of all services, or of these instances, with an account's own token. Close them. */
  clientsOf({ token }: Person, instances: PartRecord[] = this.platform.record.parts): Clients {
    const addresses = new Map<string, string[]>();
    for (const { name, address } of instances) addresses.set(name, [...(addresses.get(name) ?? []), address]);
    return new Clients(Object.fromEntries(addresses) as Record<PeerName, string[]>, async () => token, WAIT_TIMEOUT_MS); // all run
  }

  /** Rows of a database, from the primary. */
  async rows<Row>(database: string, sql: string, values: unknown[] = []): Promise<Row[]> {
    const { rows } = await this.#pool(database).query(sql, values);
    return rows;
  }

  #pool(database: string): pg.Pool {
    const known = this.#pools.get(database);
    if (known) return known;
    const pool = new pg.Pool({ connectionString: this.platform.record.databaseUrls[database], max: POOL_MAX });
    // The tests kill what is at the other end.
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    this.#pools.set(database, pool);
    return pool;
  }

  /** What staff see of all instances and databases. */
  async servers(): Promise<Static<typeof Servers>> {
    const answer = await this.http.ask<Static<typeof Servers>>('GET', '/v1/system/servers', {
      as: await this.person('staff'),
    });
    return answer.body;
  }

  /** Waits until every registration has ended, and the views show it. */
  async rest(): Promise<void> {
    await this.until('every registration has ended', async () => {
      const open = await this.rows('enrollment', "select from registrations where status = 'pending' limit 1");
      return open.length === 0;
    });
    for (const source of ['enrollment', 'billing', 'bookstore', 'records', 'catalog'] as const) {
      await this.until(`the views have reached ${source}`, async () => {
        const [head] = await this.rows<{ position: string }>(source, 'select position from event_head');
        const [seen] = await this.rows<{ position: string }>(
          'views',
          'select position from checkpoints where source = $1',
          [source],
        );
        return head?.position === '0' || head?.position === seen?.position;
      });
    }
    await this.untilReplicated();
  }

  /** Waits until the replicas show what the primary's views show now. */
  async untilReplicated(): Promise<void> {
    const [now] = await this.rows<{ lsn: string }>('views', 'select pg_current_wal_insert_lsn() as lsn');
    await this.until('the replicas have replayed it', async () => {
      const replicas = await this.rows('views', 'select from pg_stat_replication where replay_lsn >= $1', [now?.lsn]);
      return replicas.length === this.platform.record.replicaUrls.length;
    });
  }

  /** Waits for something that must come true. Databases and services may be away meanwhile. */
  until<T>(what: string, condition: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
    return eventually(
      async () => {
        try {
          return await condition();
        } catch {
          return undefined;
        }
      },
      { what, timeoutMs: WAIT_TIMEOUT_MS },
    );
  }

  /** Leaves the platform running. */
  async close(): Promise<void> {
    this.clients.close();
    await this.http.close();
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
  }
}

/** A platform in a folder of its own, with two instances of enrollment. */
export async function startCampus(): Promise<{ campus: Campus; remove(): Promise<void> }> {
  const dataFolder = await mkdtemp(join(tmpdir(), 'registrar-platform-'));
  const remove = () => rm(dataFolder, { recursive: true, force: true });
  const campus = await campusOn(dataFolder, 2).catch(async (failure: unknown) => {
    await remove();
    throw failure;
  });
  return { campus, remove };
}

/** Starts the platform of a data folder. */
export async function campusOn(dataFolder: string, instances: number): Promise<Campus> {
  const platform = await startPlatform({
    dataFolder,
    scale: { enrollment: instances },
    // Beside other tests, what gives way would stand still.
    samePriority: true,
    // All students of these tests share one address.
    settings: { RATE_PER_ADDRESS_PER_MINUTE: '1000000', RATE_PER_ACCOUNT_PER_MINUTE: '100000' },
  });
  const { signingKeyFile } = platform.record;
  const { keys } = JSON.parse(await readFile(signingKeyFile, 'utf8'));
  return new Campus({ platform, clients: await connect(platform.record), sign: await accessTokenSigner(keys[0]) });
}

/** Makes the term of all sections: 100.00 a credit, 40 credits at most. */
export async function openTerm({ clients }: Campus): Promise<void> {
  const timeZone = 'America/Los_Angeles';
  const term = { id: TERM, name: 'Term', timeZone, startsOn: '2026-09-21', endsOn: '2026-12-11', creditsMax: 40 };
  const course = { id: 'CSE-101', subject: 'CSE', code: 'CSE 101', title: 'Algorithms', credits: CREDITS };
  await clients.of(CatalogService, 'catalog').putTerms({ terms: [term] });
  await clients.of(CatalogService, 'catalog').putCourses({ courses: [course] });
  await clients
    .of(BillingService, 'billing')
    .setTuitionRate({ rate: { termId: TERM, perCredit: USD(10_000), timeZone, refunds: [] } });
}
