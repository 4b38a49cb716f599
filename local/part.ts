/** Which processes make up the platform, and what each is told. */
import { join } from 'node:path';
import {
  addressVariable,
  companions,
  type ProcessName,
  peers,
  type ServiceName,
  services,
  variablesOf,
} from '#lib/config';
import { grpcServes, httpAnswers } from './readiness.ts';

const checkout = join(import.meta.dirname, '..');

/** The demo students' card, which the simulated provider always accepts. */
const DEMO_CARD = 'tok_ok';

/** What is not a decision about a seat waits while one is made: what carries it on a little, what starts that or only looks most. */
const niceness: Partial<Record<ProcessName, number>> = {
  billing: 5,
  bookstore: 5,
  records: 5,
  provider: 5,
  worker: 19,
  starter: 19,
  auditor: 19,
};

/** Processes that may run several times: calls are spread over them, or they share one queue. */
export const scalable: readonly ProcessName[] = [...services, 'projector', 'worker'];

/** One process of the platform. */
export interface Part {
  name: ProcessName;
  /** From 1; several instances of one process differ by it. */
  number: number;
  host: string;
  port: number;
  metricsPort: number;
}

/** What all parts are told alike. */
export interface Surroundings {
  /** URL of a database by its name, on the primary. */
  databaseUrl: (database: string) => string;
  replicaUrls: (database: string) => string[];
  primaryUrl: string;
  temporalAddress: string;
  /** Of a provider that is not ours. */
  paymentProviderUrl?: string | undefined;
  serviceKeyFile: string;
  signingKeyFile: string;
  workflowBundleFile: string;
}

const entries: Record<Exclude<ProcessName, ServiceName>, string[]> = {
  projector: ['views/main.ts'],
  worker: ['workflows/worker/main.ts'],
  starter: ['workflows/starter/main.ts'],
  edge: ['edge/main.ts'],
  provider: ['local/provider/main.ts'],
  auditor: ['cli/registrar.ts', 'audit', '--loop'],
};

const databases: Partial<Record<ProcessName, string>> = {
  ...Object.fromEntries(services.map((name) => [name, name])),
  projector: 'views',
  worker: 'workflows',
  starter: 'workflows',
  provider: 'provider',
};

/** One for each process that keeps something. */
export const databaseNames = [...new Set(Object.values(databases))];

/** All processes, in the order in which people list them. */
export const processNames: readonly ProcessName[] = [...services, ...companions];

/** The file to run and its arguments. */
export function entryOf(name: ProcessName): string[] {
  const [file = '', ...options] = isService(name) ? [`services/${name}/main.ts`] : entries[name];
  return [join(checkout, file), ...options];
}

export function labelOf({ name, number }: Part): string {
  return number === 1 ? name : `${name}-${number}`;
}

export function addressOf({ host, port }: Part): string {
  return `${host}:${port}`;
}

export function nicenessOf(name: ProcessName): number | undefined {
  return niceness[name];
}

/** Whether the part answers now; the auditor serves nobody and is ready when it runs. */
export async function isReady(part: Part): Promise<boolean> {
  if (part.name === 'auditor') return true;
  if (part.name === 'edge') return httpAnswers(`http://${addressOf(part)}/readyz`);
  if (part.name === 'provider') return httpAnswers(`http://${addressOf(part)}/healthz`);
  return grpcServes(addressOf(part));
}

/** The variables of lib/config.ts that the platform decides; what it does not decide is inherited. */
export function environmentOf(part: Part, all: readonly Part[], around: Surroundings): Record<string, string> {
  const addresses = (name: ProcessName) => all.filter((other) => other.name === name).map(addressOf);
  const decided: Record<string, string> = {
    HOST: part.host,
    PORT: String(part.port),
    METRICS_PORT: String(part.metricsPort),
    DATABASE_URL: around.databaseUrl(databases[part.name] ?? ''),
    SERVICE_KEY_FILE: around.serviceKeyFile,
    SIGNING_KEY_FILE: around.signingKeyFile,
    ...Object.fromEntries(peers.map((peer) => [addressVariable(peer), addresses(peer).join(',')])),
    TEMPORAL_ADDRESS: around.temporalAddress,
    WORKFLOW_BUNDLE_FILE: around.workflowBundleFile,
    VIEWS_DATABASE_URL: around.databaseUrl('views'),
    VIEWS_REPLICA_URLS: around.replicaUrls('views').join(','),
    PAYMENT_PROVIDER_URL: around.paymentProviderUrl || `http://${addresses('provider')[0]}`,
    AUDIT_DATABASE_URL: around.primaryUrl,
    PAYMENT_METHOD_DEFAULT: DEMO_CARD,
  };
  const read = new Set(variablesOf(part.name));
  return Object.fromEntries(Object.entries(decided).filter(([name]) => read.has(name)));
}

function isService(name: ProcessName): name is ServiceName {
  return services.some((service) => service === name);
}
