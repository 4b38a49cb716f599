/** For tests of the whole platform: requests over HTTP, as a browser or a script sends them. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Static } from 'typebox';
import { errors, Pool } from 'undici';
import type { Registration } from '../../edge/schema/registration.ts';

const CARD = 'tok_ok';
const CONNECTIONS_MAX = 64;
const ANSWER_TIMEOUT_MS = 60_000;
const REPEAT_AFTER_MS = 100;
const INSIST_TIMEOUT_MS = 120_000;

export interface Person {
  id: string;
  token: string;
}

export interface Answer<Body> {
  /** 0 where the connection broke before there was one. */
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** A problem has a `code`. */
  body: Body & { code?: string };
}

export interface Asking {
  as?: Person;
  body?: object;
  headers?: Record<string, string>;
}

export interface Wish {
  id?: string;
  adds?: string[];
  drops?: string[];
  card?: string;
  headers?: Record<string, string>;
}

export type RegistrationBody = Static<typeof Registration>;

/** A registration that was repeated until it was decided. */
export interface Decided {
  id: string;
  student: Person;
  card: string;
  answer: Answer<RegistrationBody>;
  /** All answers, of which the last decided. */
  answers: Answer<RegistrationBody>[];
}

export class Http {
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool(url, { connections: CONNECTIONS_MAX, pipelining: 1, headersTimeout: ANSWER_TIMEOUT_MS });
  }

  async ask<Body>(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, asking: Asking = {}): Promise<Answer<Body>> {
    const { as, body, headers = {} } = asking;
    const response = await this.#pool.request({
      method,
      path,
      headers: {
        ...(as && { authorization: `Bearer ${as.token}` }),
        ...(body && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    return { status: response.statusCode, headers: response.headers, body: text ? JSON.parse(text) : {} };
  }

  /** One PUT of a registration. */
  async register(student: Person, wish: Wish): Promise<Answer<RegistrationBody>> {
    const { id = randomUUID(), adds = [], drops = [], card = CARD, headers = {} } = wish;
    const body = {
      adds: adds.map((sectionId) => ({ sectionId })),
      drops,
      mode: 'each',
      paymentMethod: card,
      materials: 'none',
    };
    return this.ask('PUT', `/v1/registrations/${id}`, { as: student, body, headers });
  }

  /** Repeats a registration under one id for as long as it is told "not now" or not told anything. */
  async insist(student: Person, wish: Wish): Promise<Decided> {
    const { id = randomUUID(), card = CARD } = wish;
    const answers = await this.repeated(() => this.register(student, { ...wish, id }));
    return { id, student, card, answers, answer: answers.at(-1) as Answer<RegistrationBody> }; // there is at least one
  }

  /** Reads until there is an answer. */
  async read<Body>(path: string, asking: Asking = {}): Promise<Answer<Body>> {
    const answers = await this.repeated(() => this.ask<Body>('GET', path, asking));
    return answers.at(-1) as Answer<Body>; // as above
  }

  async repeated<Body>(request: () => Promise<Answer<Body>>): Promise<Answer<Body>[]> {
    const answers: Answer<Body>[] = [];
    for (const giveUpAt = Date.now() + INSIST_TIMEOUT_MS; ; await sleep(REPEAT_AFTER_MS)) {
      const answer = await request().catch(brokenConnection<Body>);
      answers.push(answer);
      if (![0, 503].includes(answer.status) || Date.now() > giveUpAt) return answers;
    }
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** The process at the other end died; whatever else it is, is an error of the test. */
function brokenConnection<Body>(error: unknown): Answer<Body> {
  const isBroken =
    error instanceof errors.SocketError ||
    (error instanceof Error && 'code' in error && /^(ECONNREFUSED|ECONNRESET|EPIPE)$/.test(String(error.code)));
  if (!isBroken) throw error;
  return { status: 0, headers: {}, body: {} as Answer<Body>['body'] }; // nothing was answered
}

export function outcomesOf({ body }: Answer<RegistrationBody>): string[] {
  return body.items.map(({ outcome, reason }) => reason ?? outcome);
}

/** What a later read must have reached. */
export function tokenOf({ headers }: Answer<unknown>): Record<string, string> {
  return { 'consistency-token': String(headers['consistency-token']) };
}
