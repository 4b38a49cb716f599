/** One process's own database: a pool for SQL by hand, an ORM for entities, and its migrations. */

import type { Migration } from '@mikro-orm/migrations';
import { type EntityClass, type EntityManager, type EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import { CompiledQuery } from 'kysely';
import pg from 'pg';
import { measurePool } from './metrics.ts';
import { chassisMigrations } from './migrations.ts';

/** Small on purpose: the log's head serializes writers, more of them only wait. */
const POOL_MAX = 8;
const CONNECT_TIMEOUT_MS = 5_000;
/**
 * Longest that a statement may take which nobody has limited, such as a read whose caller left: as long as the most patient caller waits.
 * Transactions that take longer on purpose say so themselves.
 */
const STATEMENT_TIMEOUT_MS = 15_000;
const LIMITS = { connectionTimeoutMillis: CONNECT_TIMEOUT_MS, statement_timeout: STATEMENT_TIMEOUT_MS };
/** Statements of one process that are written down in its source: some dozens. */
const PREPARED_MAX = 200;
const MIGRATION_LOCK = 7_265_001;

/** Runs one statement with `$1` parameters, inside whatever transaction it was made for. */
export type Query = <Row = Record<string, unknown>>(text: string, values?: unknown[]) => Promise<Row[]>;

type MigrationClass = new (...parameters: ConstructorParameters<typeof Migration>) => Migration;
export type Migrations = readonly MigrationClass[];
export type Entities = (EntitySchema | EntityClass<object>)[];

export interface Database {
  pool: pg.Pool;
  orm: MikroORM;
  query: Query;
  close(): Promise<void>;
}

/** Connections to the database at `url`. @param name tells the pools of one process apart. */
export function openPool(url: string, name: string, max: number): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max, ...LIMITS });
  // A connection that dies is replaced on its next use, and whoever was using it meets the error in a statement; but without a
  // listener it would end the process, and the pool listens to idle ones only.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  measurePool(name, pool);
  return pool;
}

/** Opens the database at `url` and brings its tables up to date. */
export async function openDatabase(
  url: string,
  entities: Entities = [],
  migrations: Migrations = [],
): Promise<Database> {
  const pool = openPool(url, 'statements', POOL_MAX);
  const orm: MikroORM = new MikroORM({
    clientUrl: url,
    entities,
    ensureDatabase: false,
    // A service without entities (its SQL is by hand) is no mistake.
    discovery: { warnWhenNoEntities: false },
    pool: { min: 0, max: POOL_MAX },
    driverOptions: {
      ...LIMITS,
      onPoolCreated: (own: pg.Pool) => {
        measurePool('entities', own);
        own.on('connect', prepareStatements);
      },
    },
  });
  await migrate(url, pool, [...chassisMigrations, ...migrations]);
  return {
    pool,
    orm,
    query: queryOf(pool),
    close: async () => {
      await orm.close();
      await pool.end();
    },
  };
}

/** Applies what is missing. The lock makes instances that start together take turns; the Migrator loads only when needed. */
async function migrate(url: string, pool: pg.Pool, migrations: Migrations): Promise<void> {
  const names = migrations.map((migration) => migration.name);
  if (await isMigrated(pool, names)) return;
  const connection = await pool.connect();
  try {
    // As long as another instance's migrations take; the connection ends with this.
    await connection.query('set statement_timeout = 0');
    await connection.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const { Migrator } = await import('@mikro-orm/migrations');
    const orm = await MikroORM.init({
      clientUrl: url,
      entities: [],
      ensureDatabase: false,
      discovery: { warnWhenNoEntities: false },
      extensions: [Migrator],
      migrations: { migrationsList: [...migrations], snapshot: false, silent: true },
    });
    await orm.migrator.up();
    await orm.close();
    await connection.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]);
  } finally {
    connection.release(true);
  }
}

async function isMigrated(pool: pg.Pool, names: string[]): Promise<boolean> {
  const { rows: tables } = await pool.query("select to_regclass('mikro_orm_migrations') as name");
  if (tables[0].name === null) return false;
  const { rows } = await pool.query('select name from mikro_orm_migrations');
  const applied = new Set(rows.map((row) => row.name));
  return names.every((name) => applied.has(name));
}

/** SQL on a pool or on one connection's transaction. Statements with values are prepared once a connection. */
export function queryOf(client: pg.Pool | pg.PoolClient | pg.Client): Query {
  return async <Row>(text: string, values?: unknown[]) => {
    const result = await (client as pg.Pool).query(values ? prepared(text, values) : text); // all have this overload
    return result.rows as Row[]; // the caller names the row it selected
  };
}

const statementNames = new Map<string, string>();

/** A constant text gets a name, under which Postgres keeps its plan; texts beyond the bound are planned each time. */
function prepared(text: string, parameters: unknown[]): pg.QueryConfig {
  const values = parameters.map((value) => (isTexts(value) ? arrayOfTexts(value) : value));
  const known = statementNames.get(text);
  if (known) return { name: known, text, values };
  if (statementNames.size >= PREPARED_MAX) return { text, values };
  const name = `s${statementNames.size}`;
  statementNames.set(text, name);
  return { name, text, values };
}

/** The ORM's statements too: it sends them as texts, and Postgres would plan each anew. */
function prepareStatements(client: pg.PoolClient): void {
  const query = client.query.bind(client) as (...parameters: unknown[]) => unknown;
  const named = (text: unknown, values: unknown, ...others: unknown[]) =>
    typeof text === 'string' && Array.isArray(values) && values.length > 0
      ? query(prepared(text, values), ...others)
      : query(text, values, ...others);
  client.query = named as typeof client.query; // each of its overloads comes out as it went in
}

/** SQL inside an entity manager's transaction. */
export function queryIn(em: EntityManager): Query {
  return async <Row>(text: string, values: unknown[] = []) => {
    const result = await em.getKysely().executeQuery(CompiledQuery.raw(text, values));
    return result.rows as Row[]; // as above
  };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((element) => typeof element === 'string');
}

const QUOTED = /["\\]/g;

/** As pg would write it, in a third of the time: batches hand over hundreds of ids at once. */
function arrayOfTexts(texts: string[]): string {
  return `{${texts.map((text) => `"${text.search(QUOTED) < 0 ? text : text.replace(QUOTED, '\\$&')}"`).join(',')}}`;
}

interface Limits {
  /** Longest any one statement may take; the database ends it, so a caller's deadline reaches it. */
  timeoutMs: number | undefined;
  /**
   * Every row is looked up by a key: plans use indexes, whatever the statistics say of a table that was empty a minute ago and fills with
   * thousands of rows a second.
   */
  byKey?: boolean;
  /** The commit does not wait for the disk. A crash of Postgres may lose the last of these transactions: each whole, the newest first. */
  mayBeLost?: boolean;
}

/** Runs `body` in one READ COMMITTED transaction on a connection of its own. */
export async function inTransaction<T>(
  pool: pg.Pool,
  options: Limits,
  body: (query: Query, client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query(beginWith(options));
    const result = await body(queryOf(client), client);
    await client.query('commit');
    return result;
  } catch (failure) {
    await client.query('rollback').catch((error: Error) => {
      broken = error;
    });
    throw failure;
  } finally {
    client.release(broken);
  }
}

/** One round trip for all of it. The number is ours, so it may stand in the text. */
function beginWith({ timeoutMs, byKey, mayBeLost }: Limits): string {
  return [
    'begin',
    ...(timeoutMs === undefined ? [] : [limitStatements(timeoutMs)]),
    ...(byKey ? ['set local enable_seqscan = off'] : []),
    ...(mayBeLost ? ['set local synchronous_commit = off'] : []),
  ].join('; ');
}

/** SQL that ends each later statement of this transaction after `timeoutMs`. */
export function limitStatements(timeoutMs: number): string {
  return `set local statement_timeout = ${Math.max(1, Math.floor(timeoutMs))}`;
}
