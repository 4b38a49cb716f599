import { expect, test } from 'vitest';
import { environmentOf, type Surroundings } from './part.ts';
import { placeParts } from './parts.ts';

const around: Surroundings = {
  databaseUrl: (database) => `postgres://here/${database}`,
  replicaUrls: () => [],
  primaryUrl: 'postgres://here/postgres',
  temporalAddress: '127.0.0.1:1',
  serviceKeyFile: '',
  signingKeyFile: '',
  workflowBundleFile: '',
};

test('billing and the auditor ask the payment provider that runs here', async () => {
  const parts = await placeParts({});
  const provider = parts.find(({ name }) => name === 'provider');
  const urls = parts.flatMap((part) => environmentOf(part, parts, around).PAYMENT_PROVIDER_URL ?? []);
  expect(urls).toEqual(Array(2).fill(`http://127.0.0.1:${provider?.port}`));
});

test('they ask somebody else’s where there is one, and none runs here', async () => {
  const paymentProviderUrl = 'https://payments.example';
  const parts = await placeParts({ without: ['provider'] });
  const urls = parts.flatMap(
    (part) => environmentOf(part, parts, { ...around, paymentProviderUrl }).PAYMENT_PROVIDER_URL ?? [],
  );
  expect(parts.map(({ name }) => name)).not.toContain('provider');
  expect(urls).toEqual(Array(2).fill(paymentProviderUrl));
});
