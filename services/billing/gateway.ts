/** What billing asks of whoever moves the money, and nothing about how they are reached. */
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';

const TIMEOUT_MS = 3_000;

export interface Payment {
  /** Idempotency key; a charge happens at most once per key. */
  key: string;
  /** Minor units, above 0. */
  amount: bigint;
  currency: string;
  card: string;
  description: string;
}

export interface Repayment {
  /** Of the payment it is a part of. */
  paymentKey: string;
  /** Idempotency key among the payment's repayments. */
  key: string;
  /** Minor units, above 0. */
  amount: bigint;
}

export type PaymentAnswer =
  | { outcome: 'charged' }
  | { outcome: 'declined'; code: string }
  /** {@link PaymentGateway.void} came first: nothing was taken, and nothing will be. */
  | { outcome: 'voided' };

/** How long the caller waits. */
export interface Patience {
  timeoutMs: number;
  signal: AbortSignal;
}

/** Until the caller's deadline, but never longer than {@link TIMEOUT_MS}. */
export function patienceOf(context: HandlerContext): Patience {
  return { timeoutMs: Math.min(TIMEOUT_MS, context.timeoutMs() ?? TIMEOUT_MS), signal: context.signal };
}

/** Every call may be repeated, and each throws {@link GatewayUnavailable} where its effect is unknown. */
export interface PaymentGateway {
  charge(payment: Payment, patience: Patience): Promise<PaymentAnswer>;
  /** Gives back a part; `exceeds-payment` where less than that is left. */
  refund(repayment: Repayment, patience: Patience): Promise<'refunded' | 'exceeds-payment'>;
  /** Gives back what is left of a payment; one that never arrived can never happen afterwards. */
  void(paymentKey: string, patience: Patience): Promise<void>;
  close(): Promise<void>;
}

/** Nobody knows whether the money moved: ask again with the same key. */
export class GatewayUnavailable extends ConnectError {
  constructor(cause: unknown) {
    super('the payment provider cannot answer now', Code.Unavailable, undefined, undefined, cause);
  }
}
