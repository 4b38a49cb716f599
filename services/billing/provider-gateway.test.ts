import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLogger } from '#lib/log';
import { GatewayUnavailable, type Payment } from './gateway.ts';
import { ProviderGateway } from './provider-gateway.ts';
import { type BillingUnderTest, booked, startBilling } from './testing.ts';

const logger = createLogger('billing', 'silent');
const patience = { timeoutMs: 30_000, signal: new AbortController().signal };
let billing: BillingUnderTest;
let gateway: ProviderGateway;

beforeAll(async () => {
  billing = await startBilling();
  gateway = new ProviderGateway(`${billing.providerUrl}/`, logger);
});
afterAll(async () => {
  await gateway.close();
  await billing.stop();
});

function newPayment(card = 'tok_ok'): Payment {
  return { key: randomUUID(), amount: 100n, currency: 'USD', card, description: 'Registration' };
}

test('a payment is given back in parts, each once, and never beyond what is left', async () => {
  const payment = newPayment();
  expect(await gateway.charge(payment, patience)).toEqual({ outcome: 'charged' });
  const part = { paymentKey: payment.key, key: 'drop a/b', amount: 60n };

  expect(await gateway.refund(part, patience)).toBe('refunded');
  expect(await gateway.refund(part, patience)).toBe('refunded');
  expect(await gateway.refund({ ...part, key: 'other' }, patience)).toBe('exceeds-payment');
  await gateway.void(payment.key, patience);

  expect(await booked(billing, payment.key)).toMatchObject({ charged: 100, refunded: 100 });
});

test('a payment that was voided before it arrived can never happen', async () => {
  const payment = newPayment();
  await gateway.void(payment.key, patience);
  expect(await gateway.charge(payment, patience)).toEqual({ outcome: 'voided' });
});

test('a provider that is silent is given up at the deadline, or when the caller has gone', async () => {
  const asked = gateway.charge(newPayment('tok_timeout_charged'), { ...patience, timeoutMs: 100 });
  await expect(asked).rejects.toBeInstanceOf(GatewayUnavailable);

  const gone = { ...patience, signal: AbortSignal.abort() };
  await expect(gateway.charge(newPayment(), gone)).rejects.toBeInstanceOf(GatewayUnavailable);
});

test('a provider that nobody runs, and one that does not speak our language, are unavailable', async () => {
  for (const url of ['http://127.0.0.1:9', `http://${billing.service.address}`]) {
    const nobody = new ProviderGateway(url, logger);
    await expect(nobody.charge(newPayment(), patience)).rejects.toBeInstanceOf(GatewayUnavailable);
    await nobody.close();
  }
});

test('an answer that only a mistake of ours explains is an error, not an outage', async () => {
  const payment = newPayment();
  await gateway.charge(payment, patience);

  const other = await gateway.charge({ ...payment, amount: 1n }, patience).catch((error: unknown) => error);

  expect(other).toMatchObject({ message: expect.stringContaining('409 other-content') });
  expect(other).not.toBeInstanceOf(GatewayUnavailable);
});
