/** The payment gateway over HTTP: the provider of local/provider, or any that speaks its few routes. */
import { Agent, request } from 'undici';
import type { Logger } from '#lib/log';
import {
  GatewayUnavailable,
  type Patience,
  type Payment,
  type PaymentAnswer,
  type PaymentGateway,
  type Repayment,
} from './gateway.ts';

const CONNECTIONS_MAX = 64;
const CARD_CHARACTERS_MAX = 100;
const ANSWER_BYTES_MAX = 64 * 1024;

interface Answer {
  status: number;
  /** The provider's word for a refusal. */
  code: string;
}

export class ProviderGateway implements PaymentGateway {
  readonly #baseUrl: string;
  readonly #logger: Logger;
  readonly #agent = new Agent({ connections: CONNECTIONS_MAX, maxResponseSize: ANSWER_BYTES_MAX });

  constructor(baseUrl: string, logger: Logger) {
    this.#baseUrl = baseUrl.replace(/\/$/, '');
    this.#logger = logger;
  }

  async charge(payment: Payment, patience: Patience): Promise<PaymentAnswer> {
    const { key, amount, currency, card, description } = payment;
    // The provider calls such a card malformed, which would look like our fault rather than the student's.
    if (card.length === 0 || card.length > CARD_CHARACTERS_MAX) return { outcome: 'declined', code: 'unknown-card' };
    const body = { key, amount: Number(amount), currency, card, description };
    const { status, code } = await this.#post('/charges', body, patience);
    if (status === 200) return { outcome: 'charged' };
    if (status === 402 || code === 'unknown-card') return { outcome: 'declined', code };
    if (status === 410) return { outcome: 'voided' };
    throw new Error(`the payment provider answered charge ${key} with ${status} ${code}`);
  }

  async refund({ paymentKey, key, amount }: Repayment, patience: Patience): Promise<'refunded' | 'exceeds-payment'> {
    const body = { key, amount: Number(amount) };
    const { status, code } = await this.#post(`/charges/${encodeURIComponent(paymentKey)}/refunds`, body, patience);
    if (status === 200) return 'refunded';
    if (code === 'refund-exceeds-charge') return 'exceeds-payment';
    throw new Error(`the payment provider answered refund ${key} of ${paymentKey} with ${status} ${code}`);
  }

  async void(paymentKey: string, patience: Patience): Promise<void> {
    const { status, code } = await this.#post(`/charges/${encodeURIComponent(paymentKey)}/void`, undefined, patience);
    if (status !== 200) throw new Error(`the payment provider answered void ${paymentKey} with ${status} ${code}`);
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }

  async #post(path: string, body: object | undefined, { timeoutMs, signal }: Patience): Promise<Answer> {
    try {
      const answer = await request(`${this.#baseUrl}${path}`, {
        method: 'POST',
        dispatcher: this.#agent,
        signal: AbortSignal.any([signal, AbortSignal.timeout(Math.max(0, Math.floor(timeoutMs)))]),
        ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      const { code = '' } = (await answer.body.json()) as { code?: string }; // every answer of the provider is an object
      if (isTemporary(answer.statusCode)) throw new Error(`${answer.statusCode} ${code}`);
      return { status: answer.statusCode, code };
    } catch (failure) {
      this.#logger.warn({ path, reason: String(failure) }, 'the payment provider did not answer');
      throw new GatewayUnavailable(failure);
    }
  }
}

/** The answer says nothing about the money. */
function isTemporary(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}
