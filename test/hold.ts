/** Holds a row in a database, so that whoever comes there has to wait: a step that lasts as long as its test wants. */
import pg from 'pg';
import { eventually } from '#lib/testing';

const WAIT_TIMEOUT_MS = 60_000;

export interface Hold {
  /** Resolves when somebody waits for it. */
  isWaitedFor(): Promise<void>;
  /** Undoes what took it. */
  release(): Promise<void>;
}

/** @param sql takes the row: locks it, or inserts it, so that others who would insert it wait. */
export async function hold(databaseUrl: string, sql: string, values: unknown[] = []): Promise<Hold> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query('begin');
  await client.query(sql, values);
  const isWaitedFor = async () => {
    const { rowCount } = await client.query(
      // Not pg_stat_activity: within a transaction it stays as it was first read.
      'select from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid))',
    );
    return rowCount !== 0;
  };
  return {
    isWaitedFor: async () =>
      void (await eventually(isWaitedFor, { what: `somebody waiting for: ${sql}`, timeoutMs: WAIT_TIMEOUT_MS })),
    release: () => client.end(),
  };
}
