/** For tests: a database of one's own, and a service on it with real callers. Used by test files only. */
import { createHash, randomBytes } from 'node:crypto';
import type { DescService } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import pg from 'pg';
import { inject } from 'vitest';
import type { Role } from './caller.ts';
import { Clients } from './clients.ts';
import { peers, readConfig } from './config.ts';
import { openDatabase } from './database.ts';
import { databaseAt } from './database-url.ts';
import { chassisMigrations } from './migrations.ts';
import { type RunningService, type ServiceDefinition, startService } from './service.ts';
import { accessTokenSigner, publicJwk, readJwk, serviceTokens } from './token.ts';

const TEMPLATE_LOCK = 7_265_002;
/** However slow the machine: a call that takes longer hangs. */
const CALL_TIMEOUT_MS = 60_000;

/** The URL of a new, empty database. */
export async function freshDatabase(name: string): Promise<string> {
  return createDatabase(name, 'template1');
}

/** The URL of a new database with the service's tables, copied from a template that the first test of a run makes. */
export async function freshServiceDatabase({ name, entities, migrations = [] }: ServiceDefinition): Promise<string> {
  const version = createHash('sha256')
    .update([...chassisMigrations, ...migrations].map(({ prototype }) => String(prototype.up)).join())
    .digest('hex');
  const template = `template_${name}_${version.slice(0, 8)}`;
  await onPrimary(async (client) => {
    await client.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [template]);
    if (rowCount === 0) {
      await client.query(`create database ${template}_making`);
      await (await openDatabase(urlOf(`${template}_making`), entities, migrations)).close();
      await client.query(`alter database ${template}_making rename to ${template}`);
    }
  });
  return createDatabase(name, template);
}

async function createDatabase(name: string, template: string): Promise<string> {
  const database = `${name}_${randomBytes(6).toString('hex')}`;
  await onPrimary((client) => client.query(`create database ${database} template ${template}`));
  return urlOf(database);
}

/** A pool on the maintenance database would keep templates in use; one connection comes and goes. */
async function onPrimary(body: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: inject('primaryUrl') });
  await client.connect();
  try {
    await body(client);
  } finally {
    await client.end();
  }
}

function urlOf(database: string): string {
  return databaseAt(inject('primaryUrl'), database);
}

/** A real access token, as identity would sign it. */
export async function tokenOf(accountId: string, ...roles: Role[]): Promise<string> {
  const sign = await accessTokenSigner(inject('accessKey'));
  return sign(accountId, roles);
}

export interface ServiceUnderTest extends RunningService {
  /** A client with the system's token, or an account's. */
  client<S extends DescService>(service: S, token?: string): Client<S>;
}

/**
 * Starts a service on a free port with its own database.
 * @param environment further variables of lib/config.ts, for example the addresses of other services.
 */
export async function startForTest(
  definition: ServiceDefinition,
  environment: Record<string, string> = {},
): Promise<ServiceUnderTest> {
  const config = readConfig(definition.name, {
    DATABASE_URL: environment.DATABASE_URL ?? (await freshServiceDatabase(definition)),
    SERVICE_KEY_FILE: inject('serviceKeyFile'),
    SIGNING_KEY_FILE: inject('serviceKeyFile'),
    PAYMENT_PROVIDER_URL: 'http://127.0.0.1:9',
    LOG_LEVEL: 'silent',
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    ...environment,
  });
  const accessKeys = async () => ({ keys: [publicJwk(inject('accessKey'))] });
  const running = await startService(definition, config, { accessKeys });
  const callers: Clients[] = [];
  return {
    ...running,
    client: (service, token) => {
      const clients = clientsOf({ [definition.name]: [running.address] }, token);
      callers.push(clients);
      return clients.of(service, definition.name);
    },
    stop: async () => {
      for (const clients of callers) clients.close();
      await running.stop();
    },
  };
}

/** Clients of services at these addresses, with the system's token or an account's. */
export function clientsOf(addresses: Partial<Record<(typeof peers)[number], string[]>>, token?: string): Clients {
  const all = Object.fromEntries(peers.map((peer) => [peer, addresses[peer] ?? []])) as Record<
    (typeof peers)[number],
    string[]
  >; // one entry a peer
  return new Clients(all, token === undefined ? systemToken() : async () => token, CALL_TIMEOUT_MS);
}

function systemToken(): () => Promise<string> {
  let tokens: (() => Promise<string>) | undefined;
  return async () => {
    tokens ??= serviceTokens(await readJwk(inject('serviceKeyFile')), 'test');
    return tokens();
  };
}

/** Waits until `condition` answers something, asking again and again. @throws when it has not after `timeoutMs`. */
export async function eventually<T>(
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = 20_000, what = 'the condition' } = {},
): Promise<T> {
  const giveUpAt = Date.now() + timeoutMs;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > giveUpAt) throw new Error(`${what} did not come true within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
