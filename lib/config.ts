/** What every process is told from outside. The only file that reads the environment. */

/** A new service is one word here, after those that it follows. */
export const services = ['identity', 'catalog', 'enrollment', 'bookstore', 'billing', 'records'] as const;
export type ServiceName = (typeof services)[number];

/** Processes that are not services of `services/`; they follow logs, run sagas, or face the outside. */
export const companions = ['projector', 'worker', 'starter', 'edge', 'provider', 'auditor'] as const;
export type ProcessName = ServiceName | (typeof companions)[number];

/** Processes that others call over gRPC. */
export const peers = [...services, 'projector', 'worker', 'starter'] as const;
export type PeerName = (typeof peers)[number];

interface Variable {
  /** Processes that read it; all where absent. */
  of?: readonly ProcessName[];
  /** Without a default the process does not start unless it is set. */
  default?: string;
  optional?: true;
  meaning: string;
}

const callers = [...services, 'projector', 'worker', 'starter', 'edge'] as const;
const withDatabase = [...services, 'projector', 'worker', 'starter', 'provider'] as const;

/** Every variable, by name, in the order in which a reader wants to know them. */
export const variables: Record<string, Variable> = {
  HOST: { default: '127.0.0.1', meaning: 'address to listen on' },
  PORT: {
    default: '0',
    meaning: 'port to listen on: HTTP for edge and provider, gRPC for the others; 0 takes a free one',
  },
  METRICS_PORT: { default: '0', meaning: 'loopback port of Prometheus metrics at /metrics; 0 takes a free one' },
  ADVERTISED_ADDRESS: {
    optional: true,
    meaning: 'host:port under which others reach this instance; default: where it listens',
  },
  POSTGRES_URL: {
    of: [],
    optional: true,
    meaning: 'of `npm start`: a Postgres to use instead of its own, as somebody who may create databases',
  },
  POSTGRES_REPLICA_URLS: {
    of: [],
    optional: true,
    meaning: 'of `npm start`: the streaming replicas of that Postgres, separated by commas',
  },
  DATABASE_URL: { of: withDatabase, meaning: "the process's own database on the primary" },
  SERVICE_KEY_FILE: {
    of: callers,
    meaning: 'Ed25519 private JWK that all processes share: they sign and verify service tokens with it',
  },
  SIGNING_KEY_FILE: {
    of: ['identity'],
    meaning: 'Ed25519 private JWK set: the first key signs access tokens, all verify',
  },
  ...Object.fromEntries(peers.map((peer) => [addressVariable(peer), addressOf(peer)])),
  TEMPORAL_ADDRESS: {
    of: ['worker', 'starter', 'edge'],
    default: '127.0.0.1:7233',
    meaning: 'host:port of the Temporal frontend',
  },
  TEMPORAL_NAMESPACE: { of: ['worker', 'starter', 'edge'], default: 'default', meaning: 'Temporal namespace' },
  TEMPORAL_TASK_QUEUE: { of: ['worker', 'starter', 'edge'], default: 'registrar', meaning: 'task queue of the sagas' },
  WORKFLOW_BUNDLE_FILE: {
    of: ['worker'],
    optional: true,
    meaning: 'where to keep the built workflow bundle between starts',
  },
  SAGA_DEADLINE_SECONDS: {
    of: ['starter'],
    default: '600',
    meaning: 'how long a saga tries to go forward before it is undone',
  },
  SAGAS_IN_FLIGHT_MAX: { of: ['starter'], default: '32', meaning: 'sagas that may be open in Temporal at once' },
  VIEWS_DATABASE_URL: { of: ['edge'], meaning: "the views' database on the primary" },
  VIEWS_REPLICA_URLS: {
    of: ['edge'],
    default: '',
    meaning: "the views' database on each replica, separated by commas",
  },
  PAYMENT_PROVIDER_URL: { of: ['billing', 'auditor'], meaning: 'base URL of the payment provider' },
  AUDIT_DATABASE_URL: { of: ['auditor'], meaning: 'URL of the primary; each database is its path' },
  AUDIT_INTERVAL_SECONDS: { of: ['auditor'], default: '300', meaning: 'pause between audits' },
  PAYMENT_METHOD_DEFAULT: {
    of: ['edge'],
    default: '',
    meaning:
      'card token of registrations that name none; empty: they are sent without one, and declined where they cost',
  },
  CORS_ORIGINS: { of: ['edge'], default: '', meaning: 'origins that browsers may call from, separated by commas' },
  RATE_PER_ACCOUNT_PER_MINUTE: { of: ['edge'], default: '600', meaning: 'requests one account may make' },
  RATE_PER_ADDRESS_PER_MINUTE: {
    of: ['edge'],
    default: '1200',
    meaning: 'requests without an account that one address may make',
  },
  TRUST_PROXY: { of: ['edge'], default: 'false', meaning: 'true where a proxy in front sets X-Forwarded-For' },
  LOG_LEVEL: { default: 'info', meaning: 'trace, debug, info, warn, error or silent' },
  OTEL_EXPORTER_OTLP_ENDPOINT: { optional: true, meaning: 'OTLP/HTTP collector that traces are sent to' },
};

/** The variable that says where a process answers. */
export function addressVariable(peer: PeerName): string {
  return `${peer.toUpperCase()}_ADDRESS`;
}

function addressOf(peer: PeerName): Variable {
  return {
    of: callers,
    default: '',
    meaning: `where ${peer} answers: host:port of each instance, separated by commas, or one DNS name:port`,
  };
}

/** The variables one process reads, in order. */
export function variablesOf(name: ProcessName): string[] {
  return Object.entries(variables)
    .filter(([, variable]) => !variable.of || variable.of.includes(name))
    .map(([variable]) => variable);
}

export class ConfigError extends Error {}

export interface Config {
  name: ProcessName;
  host: string;
  port: number;
  metricsPort: number;
  advertisedAddress: string | undefined;
  logLevel: string;
  otlpEndpoint: string | undefined;
  databaseUrl: string;
  serviceKeyFile: string;
  signingKeyFile: string;
  addresses: Record<PeerName, string[]>;
  temporal: { address: string; namespace: string; taskQueue: string };
  workflowBundleFile: string | undefined;
  sagaDeadlineSeconds: number;
  sagasInFlightMax: number;
  viewsDatabaseUrl: string;
  viewsReplicaUrls: string[];
  paymentProviderUrl: string;
  auditDatabaseUrl: string;
  auditIntervalSeconds: number;
  paymentMethodDefault: string;
  corsOrigins: string[];
  ratePerAccountPerMinute: number;
  ratePerAddressPerMinute: number;
  trustProxy: boolean;
}

/**
 * Reads the configuration of one process. A variable the process does not read is answered as empty.
 * @throws ConfigError naming every variable that is missing or malformed.
 */
export function readConfig(name: ProcessName, environment: Record<string, string | undefined> = process.env): Config {
  const faults: string[] = [];
  const own = new Set(variablesOf(name));

  function text(variable: string): string {
    const { default: fallback, optional, meaning } = variables[variable] as Variable;
    const value = environment[variable] ?? fallback;
    if (value !== undefined) return value;
    if (own.has(variable) && !optional) faults.push(`${variable} is not set (${meaning})`);
    return '';
  }
  function whole(variable: string): number {
    const value = Number(text(variable));
    if (!Number.isInteger(value) || value < 0) faults.push(`${variable} must be a whole number`);
    return value;
  }
  const list = (variable: string) =>
    text(variable)
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean);

  const config: Config = {
    name,
    host: text('HOST'),
    port: whole('PORT'),
    metricsPort: whole('METRICS_PORT'),
    advertisedAddress: text('ADVERTISED_ADDRESS') || undefined,
    logLevel: text('LOG_LEVEL'),
    otlpEndpoint: text('OTEL_EXPORTER_OTLP_ENDPOINT') || undefined,
    databaseUrl: text('DATABASE_URL'),
    serviceKeyFile: text('SERVICE_KEY_FILE'),
    signingKeyFile: text('SIGNING_KEY_FILE'),
    addresses: Object.fromEntries(peers.map((peer) => [peer, list(addressVariable(peer))])) as Record<
      PeerName,
      string[]
    >, // one entry a peer, by construction
    temporal: {
      address: text('TEMPORAL_ADDRESS'),
      namespace: text('TEMPORAL_NAMESPACE'),
      taskQueue: text('TEMPORAL_TASK_QUEUE'),
    },
    workflowBundleFile: text('WORKFLOW_BUNDLE_FILE') || undefined,
    sagaDeadlineSeconds: whole('SAGA_DEADLINE_SECONDS'),
    sagasInFlightMax: whole('SAGAS_IN_FLIGHT_MAX'),
    viewsDatabaseUrl: text('VIEWS_DATABASE_URL'),
    viewsReplicaUrls: list('VIEWS_REPLICA_URLS'),
    paymentProviderUrl: text('PAYMENT_PROVIDER_URL'),
    auditDatabaseUrl: text('AUDIT_DATABASE_URL'),
    auditIntervalSeconds: whole('AUDIT_INTERVAL_SECONDS'),
    paymentMethodDefault: text('PAYMENT_METHOD_DEFAULT'),
    corsOrigins: list('CORS_ORIGINS'),
    ratePerAccountPerMinute: whole('RATE_PER_ACCOUNT_PER_MINUTE'),
    ratePerAddressPerMinute: whole('RATE_PER_ADDRESS_PER_MINUTE'),
    trustProxy: text('TRUST_PROXY') === 'true',
  };
  if (faults.length > 0) throw new ConfigError(`${name} cannot start: ${faults.join('; ')}`);
  return config;
}

/** This process's environment, which the local platform hands down to the processes it starts. */
export function inheritedEnvironment(): Record<string, string | undefined> {
  return { ...process.env };
}
