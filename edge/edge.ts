/** The edge as a process: opens its parts, listens, and ends in order. */
import type { AddressInfo } from 'node:net';
import { Clients } from '#lib/clients';
import { closeAnswering } from '#lib/close';
import type { Config } from '#lib/config';
import { createLogger } from '#lib/log';
import { serveMetrics } from '#lib/metrics';
import { readJwk, serviceTokens, TokenVerifier } from '#lib/token';
import { startTracing } from '#lib/trace';
import { KeyService } from '#proto/keys/v1/service';
import { openViews } from '#views/reader';
import { buildApp } from './app.ts';
import { openSagas } from './sagas.ts';

export interface RunningEdge {
  /** host:port */
  address: string;
  metricsPort: number;
  stop(): Promise<void>;
}

export async function startEdge(config: Config): Promise<RunningEdge> {
  const logger = createLogger('edge', config.logLevel);
  const stopTracing = await startTracing('edge', config.otlpEndpoint);
  const serviceKey = await readJwk(config.serviceKeyFile);
  const clients = new Clients(config.addresses, serviceTokens(serviceKey, 'edge'));
  const keys = clients.of(KeyService, 'identity');
  const verifier = new TokenVerifier(serviceKey, async () => JSON.parse((await keys.getKeys({})).jwksJson));
  const { viewsDatabaseUrl: primaryUrl, viewsReplicaUrls: replicaUrls } = config;
  const views = await openViews({ primaryUrl, replicaUrls, logger });
  const sagas = openSagas(config.temporal);
  const app = await buildApp({ config, logger, clients, verifier, views, sagas });
  await app.listen({ host: config.host, port: config.port });
  const metrics = await serveMetrics(config.metricsPort);
  const { address: host, port } = app.server.address() as AddressInfo; // it listens on TCP
  const address = `${host}:${port}`;
  const stopping = new AbortController();
  void verifier.learnKeys(stopping.signal);
  logger.info({ address, metricsPort: metrics.port }, 'serving');
  return {
    address,
    metricsPort: metrics.port,
    stop: async () => {
      stopping.abort();
      await closeAnswering(app.server, () => app.close());
      await sagas.close();
      await views.close();
      clients.close();
      await metrics.close();
      await stopTracing();
      logger.info('ended');
    },
  };
}
