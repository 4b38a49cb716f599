/** Once a test run: one Postgres cluster and one Temporal server for all files, and the keys that tests sign with. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import type { TestProject } from 'vitest/node';
import { startCluster } from '../local/postgres.ts';
import { startTemporal } from '../local/temporal.ts';

const settings = {
  max_connections: '400',
  // Nothing of it outlives the run, and hundreds of databases need not be brought to the disk at its end.
  fsync: 'off',
};

declare module 'vitest' {
  export interface ProvidedContext {
    primaryUrl: string;
    replicaUrls: string[];
    temporalAddress: string;
    serviceKeyFile: string;
    /** Built by whoever needs it first. */
    workflowBundleFile: string;
    accessKey: JWK;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'registrar-test-'));
  const [cluster, temporal] = await Promise.all([
    startCluster({ folder: join(folder, 'postgres'), replicas: 2, settings }),
    startTemporal({ folder: join(folder, 'temporal') }),
  ]);
  const serviceKeyFile = join(folder, 'service-key.jwk');
  await writeFile(serviceKeyFile, JSON.stringify(await newKey()), { mode: 0o600 });
  project.provide('primaryUrl', cluster.primaryUrl);
  project.provide('replicaUrls', cluster.replicaUrls);
  project.provide('temporalAddress', temporal.address);
  project.provide('serviceKeyFile', serviceKeyFile);
  project.provide('workflowBundleFile', join(folder, 'workflow-bundle.js'));
  project.provide('accessKey', { ...(await newKey()), kid: 'test' });
  return async () => {
    await Promise.all([cluster.stop(), temporal.stop()]);
    await rm(folder, { recursive: true, force: true });
  };
}

async function newKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair('EdDSA', { extractable: true });
  return exportJWK(privateKey);
}
