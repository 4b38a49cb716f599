/** How the auditor reads a platform: each database as of one instant, and the payment provider's book. */
import pg from 'pg';
import type { ServiceName } from '#lib/config';
import type { Query } from '#lib/database';
import { PlatformError } from '../../local/failure.ts';
import type { InvariantName, Tally } from './finding.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 120_000;

/** The databases that have a log, by their names on the primary. */
export type DatabaseName = ServiceName | 'views' | 'workflows';

/** Where to read, and how late. */
export interface Audited {
  /** URL of a database on the primary; undefined where the platform at hand does without it (views or workflows). */
  databaseUrl: (name: DatabaseName) => string | undefined;
  /** Base URL of the payment provider. */
  providerUrl: string;
  /** Registrations that ended later than this ago are left for the next audit, so that late answers of outside parties are in. */
  settledSeconds: number;
}

/** Something that must always hold, and how to look whether it does. */
export interface Invariant {
  name: InvariantName;
  sentence: string;
  /**
   * True of what compares parts that cannot be read as of one instant: what such a look sees counts only if a second one, which begins
   * after it, sees the very same.
   */
  looksTwice?: true;
  look(audited: Audited, tally: Tally): Promise<void>;
}

/**
 * Reads databases, each as of one instant. The instants follow each other in the order of the names: whatever caused something in an
 * earlier one is seen in a later one.
 * @throws PlatformError
 */
export async function inSnapshots<N extends DatabaseName, T>(
  { databaseUrl }: Pick<Audited, 'databaseUrl'>,
  names: readonly N[],
  body: (of: Record<N, Query>) => Promise<T>,
): Promise<T> {
  const opened: [N, Snapshot][] = [];
  try {
    for (const name of names) opened.push([name, await Snapshot.open(name, databaseUrl(name))]);
    const queries = Object.fromEntries(opened.map(([name, snapshot]) => [name, snapshot.query]));
    return await body(queries as Record<N, Query>); // one entry a name, by construction
  } finally {
    await Promise.all(opened.map(([, snapshot]) => snapshot.close()));
  }
}

class Snapshot {
  readonly #name: DatabaseName;
  readonly #client: pg.Client;

  private constructor(name: DatabaseName, client: pg.Client) {
    this.#name = name;
    this.#client = client;
  }

  static async open(name: DatabaseName, url: string | undefined): Promise<Snapshot> {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS + CONNECT_TIMEOUT_MS,
      // It reads a lot, and nobody waits for it: one processor is enough.
      options: '-c max_parallel_workers_per_gather=0',
      application_name: 'auditor',
    });
    // A connection that breaks fails the query at hand; unheard, the event would end the process.
    client.on('error', () => undefined);
    const snapshot = new Snapshot(name, client);
    if (!url) throw new PlatformError(`The audit needs the database ${name}, and was not told where it is.`);
    try {
      await client.connect();
      await snapshot.query('begin isolation level repeatable read read only');
      // The instant is that of the first statement, not that of the begin.
      await snapshot.query('select');
    } catch (failure) {
      await snapshot.close();
      throw unreadable(name, failure);
    }
    return snapshot;
  }

  readonly query: Query = async <Row>(text: string, values?: unknown[]) => {
    try {
      const { rows } = await this.#client.query(text, values);
      return rows as Row[]; // the caller names the row it selected
    } catch (failure) {
      throw unreadable(this.#name, failure);
    }
  };

  async close(): Promise<void> {
    await this.#client.end().catch(() => undefined);
  }
}

function unreadable(name: DatabaseName, failure: unknown): PlatformError {
  if (failure instanceof PlatformError) return failure;
  const why = failure instanceof Error ? failure.message || failure.name : String(failure);
  return new PlatformError(`The database ${name} cannot be audited (${why}): see whether the platform is running.`);
}
