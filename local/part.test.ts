import { expect, test } from 'vitest';
import { environmentOf, type Part } from './part.ts';

const edge: Part = { name: 'edge', number: 1, host: '127.0.0.1', port: 1, metricsPort: 2 };
const billing: Part = { ...edge, name: 'billing' };
const around = {
  databaseUrl: (database: string) => `postgres://primary/${database}`,
  replicaUrls: () => [],
  primaryUrl: 'postgres://primary',
  temporalAddress: '127.0.0.1:3',
  serviceKeyFile: 'service.jwk',
  signingKeyFile: 'signing.jwk',
  workflowBundleFile: 'bundle.js',
};

test('a demo student’s registration that names no card is paid with the one that the simulated provider accepts', () => {
  expect(environmentOf(edge, [edge, billing], around)).toMatchObject({ PAYMENT_METHOD_DEFAULT: 'tok_ok' });
});

test('a process is told nothing that it does not read', () => {
  expect(environmentOf(billing, [edge, billing], around)).not.toHaveProperty('PAYMENT_METHOD_DEFAULT');
  expect(environmentOf(edge, [edge, billing], around)).not.toHaveProperty('DATABASE_URL');
});
