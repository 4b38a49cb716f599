/** For this folder's tests: billing with the real provider behind it and a bookstore's log to follow. */
import { randomUUID } from 'node:crypto';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError } from '@connectrpc/connect';
import pg from 'pg';
import { inTransaction, type Query, queryOf } from '#lib/database';
import { append, newEvent } from '#lib/event-log';
import type { ServiceDefinition } from '#lib/service';
import { eventually, freshDatabase, type ServiceUnderTest, startForTest } from '#lib/testing';
import { BillingService, type ChargeTuitionRequest, ChargeTuitionRequestSchema } from '#proto/billing/v1/service';
import { MaterialChangedSchema } from '#proto/bookstore/v1/events';
import { EventLogService } from '#proto/eventlog/v1/service';
import { buildProvider } from '../../local/provider/app.ts';
import { createBook } from '../../local/provider/schema.ts';
import { billing } from './billing.ts';
import { followMaterialPrices } from './followers.ts';
import { GatewayUnavailable, type PaymentGateway } from './gateway.ts';
import { ProviderGateway } from './provider-gateway.ts';
import { billingService } from './service.ts';

const SLOW_MS = 300;

export const rate = {
  termId: 'FA26',
  perCredit: usd(30_001n),
  refunds: [
    { until: '2026-09-25', percent: 100 },
    { until: '2026-10-09', percent: 50 },
  ],
  timeZone: 'America/Los_Angeles',
};

export function usd(amount: bigint) {
  return { amount, currency: 'USD' };
}

const bookstore: ServiceDefinition = {
  name: 'bookstore',
  build: () => ({ services: [], routes: () => undefined }),
};

export interface BillingUnderTest {
  service: ServiceUnderTest;
  system: Client<typeof BillingService>;
  providerUrl: string;
  /** SQL on billing's own database. */
  query: Query;
  /** Lets the bookstore tell of a price, and waits until billing has heard of it. */
  setPrice(materialId: string, amount: bigint): Promise<void>;
  /** Appends any event to the bookstore's log. */
  tell(event: ReturnType<typeof newEvent>): Promise<void>;
  stop(): Promise<void>;
}

/** Starts everything; `FA26` has a {@link rate}, and `book` costs 4,999. */
export async function startBilling(definition: ServiceDefinition = billing): Promise<BillingUnderTest> {
  const providerPool = new pg.Pool({ connectionString: await freshDatabase('provider') });
  await createBook(providerPool);
  const provider = buildProvider({ pool: providerPool, slowMs: SLOW_MS });
  const providerUrl = await provider.listen({ host: '127.0.0.1', port: 0 });
  const store = await startForTest(bookstore);
  const service = await startForTest(definition, {
    PAYMENT_PROVIDER_URL: providerUrl,
    BOOKSTORE_ADDRESS: store.address,
  });
  const system = service.client(BillingService);
  const query = queryOf(service.parts.database.pool);
  const tell: BillingUnderTest['tell'] = async (event) => {
    const { database, head } = store.parts;
    head.advance(await inTransaction(database.pool, { timeoutMs: undefined }, (within) => append(within, [event])));
  };
  const setPrice: BillingUnderTest['setPrice'] = async (id, amount) => {
    const about = { subject: id, actor: 'staff' };
    await tell(newEvent(MaterialChangedSchema, about, { material: { id, price: usd(amount) } }));
    await eventually(async () => {
      const known = await query<{ price: string }>('select price from material_prices where material_id = $1', [id]);
      return known.some(({ price }) => BigInt(price) === amount);
    });
  };
  await Promise.all([system.setTuitionRate({ rate }), setPrice('book', 4_999n)]);
  const stop = async () => {
    await service.stop();
    await store.stop();
    await provider.close();
    await providerPool.end();
  };
  return { service, system, providerUrl, query, setPrice, tell, stop };
}

/** Billing as it is, with something between it and the real provider: for answers that come late or never. */
export function withGateway(around: (real: PaymentGateway) => Partial<PaymentGateway>): ServiceDefinition {
  return {
    ...billing,
    build: (parts) => {
      const real: PaymentGateway = new ProviderGateway(parts.config.paymentProviderUrl, parts.logger);
      const gateway: PaymentGateway = {
        charge: (payment, patience) => real.charge(payment, patience),
        refund: (repayment, patience) => real.refund(repayment, patience),
        void: (paymentKey, patience) => real.void(paymentKey, patience),
        close: () => real.close(),
        ...around(real),
      };
      return {
        services: [BillingService],
        routes: (router) => router.service(BillingService, billingService(parts, gateway)),
        followers: [followMaterialPrices(parts)],
        stop: () => gateway.close(),
      };
    },
  };
}

/** Billing that never hears what the provider did about the charges of these registrations. */
export function losingAnswers(registrationIds: ReadonlySet<string>): ServiceDefinition {
  return withGateway((real) => ({
    charge: async (payment, patience) => {
      const answer = await real.charge(payment, patience);
      if (registrationIds.has(payment.key)) throw new GatewayUnavailable('the answer was lost');
      return answer;
    },
  }));
}

type Asked = MessageInitShape<typeof ChargeTuitionRequestSchema>;

/** A registration of two sections, 4 and 2 credits, the first with a fee and two books: 6 × 300.01 + 25.00 + 2 × 49.99. */
export function newCharge(paymentMethod = 'tok_ok', changes: Partial<Asked> = {}): ChargeTuitionRequest {
  return create(ChargeTuitionRequestSchema, {
    registrationId: randomUUID(),
    studentId: `student-${randomUUID()}`,
    termId: 'FA26',
    items: [
      { sectionId: 'FA26-1', credits: 4, fee: usd(2_500n), materials: [{ materialId: 'book', quantity: 2 }] },
      { sectionId: 'FA26-2', credits: 2 },
    ],
    paymentMethod,
    ...changes,
  } as Asked);
}
export const newChargeTotal = 6n * 30_001n + 2_500n + 2n * 4_999n;

export function undoOf({ registrationId, studentId }: ChargeTuitionRequest) {
  return { registrationId, studentId, reason: 'materials-out-of-stock' };
}

/** For calls that race: slowness alone must not end one. */
export const patient = { timeoutMs: 60_000 };

/** Asks again for an answer that did not come, as a saga does; a refusal is an answer. */
export function persistently<T extends object>(call: () => Promise<T>): Promise<T> {
  return eventually(
    async () => {
      try {
        return await call();
      } catch (error) {
        const { code } = ConnectError.from(error);
        if (code === Code.Unavailable || code === Code.DeadlineExceeded) return undefined;
        throw error;
      }
    },
    { timeoutMs: 50_000, what: 'an answer' },
  );
}

export interface Booked {
  status: string;
  charged: number;
  refunded: number;
}

/** What the provider's own book says of a charge; undefined where it never heard of it. */
export async function booked({ providerUrl }: BillingUnderTest, key: string): Promise<Booked | undefined> {
  const answer = await fetch(`${providerUrl}/charges/${key}`);
  return answer.status === 404 ? undefined : ((await answer.json()) as Booked); // the provider's shape of a charge
}

/** What the ledger says the provider holds of a charge. */
export async function cleared({ query }: BillingUnderTest, chargeId: string): Promise<bigint> {
  const [row] = await query<{ net: string }>(
    `select coalesce(sum(amount), 0) as net from postings join journal_entries e on e.id = entry_id
     where e.charge_id = $1 and account = 'provider-clearing'`,
    [chargeId],
  );
  return BigInt(row?.net ?? 0);
}

/** The causes of a charge's journal entries, oldest first. */
export async function causes({ query }: BillingUnderTest, chargeId: string): Promise<string[]> {
  const rows = await query<{ cause: string }>('select cause from journal_entries where charge_id = $1 order by id', [
    chargeId,
  ]);
  return rows.map(({ cause }) => cause);
}

/** The student's entries as `kind amount`, oldest first. */
export async function account({ system }: BillingUnderTest, studentId: string): Promise<string[]> {
  const { entries } = await system.getStudentAccount({ studentId });
  return entries.map(({ kind, amount }) => `${kind} ${amount?.amount}`).reverse();
}

/** The types of the events about a registration, without their package. */
export async function told({ service }: BillingUnderTest, subject: string): Promise<string[]> {
  const { events } = await service.client(EventLogService).readEvents({ subject });
  return events.map(({ type }) => type.replace('registrar.billing.v1.', ''));
}

/** Charges whose net in the provider's book is not what the ledger says; empty at rest. */
export async function disagreements(under: BillingUnderTest): Promise<string[]> {
  const book = new Map<string, bigint>();
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const answer: Response = await fetch(
      `${under.providerUrl}/book${cursor && `?cursor=${encodeURIComponent(cursor)}`}`,
    );
    const page = (await answer.json()) as { items: (Booked & { key: string })[]; nextCursor?: string }; // as documented there
    for (const { key, charged, refunded } of page.items) book.set(key, BigInt(charged - refunded));
    cursor = page.nextCursor;
  }
  const rows = await under.query<{ charge_id: string; net: string }>(
    `select e.charge_id, sum(amount) as net from postings join journal_entries e on e.id = entry_id
     where account = 'provider-clearing' group by e.charge_id`,
  );
  const ledger = new Map(rows.map(({ charge_id, net }) => [charge_id, BigInt(net)]));
  return [...new Set([...book.keys(), ...ledger.keys()])].filter(
    (key) => (book.get(key) ?? 0n) !== (ledger.get(key) ?? 0n),
  );
}
