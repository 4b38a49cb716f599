/**
 * What every process with a gRPC port is made of: configuration, log, traces, metrics, database, migrations, event log, health,
 * reflection, auth, leases, followers and an orderly end. A service brings its own words and nothing else.
 */
import type { AddressInfo } from 'node:net';
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { fastifyConnectPlugin } from '@connectrpc/connect-fastify';
import { fastify } from 'fastify';
import type { JSONWebKeySet } from 'jose';
import { EventLogService } from '#proto/eventlog/v1/service';
import { KeyService } from '#proto/keys/v1/service';
import { ServerService } from '#proto/server/v1/service';
import { Health } from '../gen/grpc/health/v1/health_pb.ts';
import { type Changes, changesOf } from './change.ts';
import { Clients } from './clients.ts';
import { type Config, type PeerName, readConfig } from './config.ts';
import { type Database, type Entities, type Migrations, openDatabase } from './database.ts';
import { isAway } from './database-error.ts';
import { LogHead } from './event-log.ts';
import { eventLogService } from './event-log-service.ts';
import type { Follower } from './follower.ts';
import { healthService } from './health.ts';
import { authenticated, errorsMapped, measured, textsChecked, traced } from './interceptors.ts';
import { serverService, takeLease } from './lease.ts';
import { createLogger, type Logger } from './log.ts';
import { gauge, serveMetrics } from './metrics.ts';
import { runProcess } from './process.ts';
import { type Reads, readsOf } from './read.ts';
import { reflect } from './reflection.ts';
import { readJwk, serviceTokens, TokenVerifier } from './token.ts';
import { startTracing } from './trace.ts';

/** Twice what the longest registrations have that the edge gathers into one call; 500 courses described at length have less, too. */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024;
const DRAIN_MS = 10_000;
const DATABASE_WAIT_MS = 30_000;
const DATABASE_RETRY_MS = 250;

/** What the chassis hands to a service. */
export interface Parts extends Changes, Reads {
  config: Config;
  logger: Logger;
  database: Database;
  clients: Clients;
  verifier: TokenVerifier;
  head: LogHead;
}

export interface ServiceParts {
  services: DescService[];
  routes(router: ConnectRouter): void;
  followers?: Follower[];
  /** Ends what the service started itself; calls have ended by then. */
  stop?(): Promise<void>;
}

export interface ServiceDefinition {
  name: PeerName;
  entities?: Entities;
  migrations?: Migrations;
  /** Methods that need no token. */
  publicMethods?: readonly DescMethod[];
  /** Methods that bring what many people said, and check the texts of each part with `checkTexts`, so that one fails alone. */
  partlyCheckedMethods?: readonly DescMethod[];
  build(parts: Parts): ServiceParts | Promise<ServiceParts>;
}

export interface RunningService {
  address: string;
  metricsPort: number;
  parts: Parts;
  stop(): Promise<void>;
}

/** The whole life of a process: starts, serves, and ends on SIGTERM, SIGINT, or when its supervisor is gone. */
export function runService(definition: ServiceDefinition): Promise<void> {
  return runProcess(async () => startService(definition, readConfig(definition.name)));
}

/** Starts a service in this process. @param options.accessKeys stands in for asking identity, where there is none. */
export async function startService(
  definition: ServiceDefinition,
  config: Config,
  options: { accessKeys?: () => Promise<JSONWebKeySet> } = {},
): Promise<RunningService> {
  const { name } = definition;
  const logger = createLogger(name, config.logLevel);
  const stopTracing = await startTracing(name, config.otlpEndpoint);
  const serviceKey = await readJwk(config.serviceKeyFile);
  const clients = new Clients(config.addresses, serviceTokens(serviceKey, name));
  const verifier = new TokenVerifier(serviceKey, options.accessKeys ?? (() => askForKeys(clients)));
  const database = await openWhenReady(config.databaseUrl, definition, logger);
  const head = new LogHead(database.query);
  const parts: Parts = {
    config,
    logger,
    database,
    clients,
    verifier,
    head,
    ...changesOf(database, head),
    ...readsOf(database),
  };
  const own = await definition.build(parts);
  const followers = own.followers ?? [];

  let serving = true;
  const server = await listen(definition, parts, own, () => serving);
  const address = config.advertisedAddress ?? server.address;
  const lease = await takeLease(database.query, name, address);
  const metrics = await serveMetrics(config.metricsPort);
  for (const follower of followers) measureLag(follower);
  for (const follower of followers) follower.start();
  const stopping = new AbortController();
  void verifier.learnKeys(stopping.signal);
  logger.info({ address, metricsPort: metrics.port }, 'serving');

  let ended: Promise<void> | undefined;
  async function end(): Promise<void> {
    serving = false;
    stopping.abort();
    await lease.drain();
    await Promise.all(followers.map((follower) => follower.stop()));
    await server.close();
    await own.stop?.();
    await lease.end();
    clients.close();
    await metrics.close();
    await database.close();
    await stopTracing();
    logger.info('ended');
  }
  const stop = () => {
    ended ??= end();
    return ended;
  };
  return { address, metricsPort: metrics.port, parts, stop };
}

async function askForKeys(clients: Clients): Promise<JSONWebKeySet> {
  const { jwksJson } = await clients.of(KeyService, 'identity').getKeys({});
  return JSON.parse(jwksJson);
}

/** A database that is still starting is waited for; one that refuses us is an error at once. */
async function openWhenReady(url: string, definition: ServiceDefinition, logger: Logger): Promise<Database> {
  const giveUpAt = Date.now() + DATABASE_WAIT_MS;
  for (;;) {
    try {
      return await openDatabase(url, definition.entities, definition.migrations);
    } catch (error) {
      if (!isAway(error) || Date.now() > giveUpAt) throw error;
      logger.info('waiting for the database');
      await new Promise((resolve) => setTimeout(resolve, DATABASE_RETRY_MS));
    }
  }
}

async function listen(definition: ServiceDefinition, parts: Parts, own: ServiceParts, isServing: () => boolean) {
  const { config, logger, database, head, verifier } = parts;
  const mounted = [...own.services, EventLogService, ServerService, Health];
  const server = fastify({ http2: true, http2SessionTimeout: 0, forceCloseConnections: false });
  await server.register(fastifyConnectPlugin, {
    interceptors: [
      traced(),
      measured(logger),
      errorsMapped(logger),
      authenticated(verifier, [...(definition.publicMethods ?? []), KeyService.method.getKeys]),
      textsChecked(definition.partlyCheckedMethods),
    ],
    readMaxBytes: REQUEST_BYTES_MAX,
    // Callers are as near as the database: compressing costs more than it saves.
    acceptCompression: [],
    shutdownTimeoutMs: DRAIN_MS,
    routes: (router) => {
      own.routes(router);
      router.service(EventLogService, eventLogService(database.query, head));
      router.service(
        ServerService,
        serverService(definition.name, database.query, () => (own.followers ?? []).map(({ lag }) => lag)),
      );
      router.service(
        Health,
        healthService(
          mounted.map(({ typeName }) => typeName),
          isServing,
        ),
      );
      reflect(router, mounted);
    },
  });
  await server.listen({ host: config.host, port: config.port });
  const { address, port } = server.server.address() as AddressInfo; // it listens on TCP
  return { address: `${address}:${port}`, close: () => server.close() };
}

function measureLag(follower: Follower): void {
  const { source } = follower.lag;
  gauge(`registrar_follower_lag_events_${source}`, `Events of ${source} not applied yet`, () =>
    Number(follower.lag.head - follower.lag.position),
  );
}
