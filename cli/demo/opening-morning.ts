/** Students log in, register all at once, and wait for the end, as clients of the REST edge and nothing else. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RegistrationAnswer } from '../../edge/registration.ts';
import { PlatformError } from '../../local/failure.ts';
import { DEMO_PASSWORD } from '../campus/people.ts';
import type { Answer, Edge } from './edge.ts';
import { inLanes } from './lanes.ts';
import type { Section, Wish } from './wish.ts';

/** Identity works on two passwords at a time; more would only wait there. */
const LOG_INS_AT_ONCE_MAX = 8;
const READS_AT_ONCE_MAX = 8;
const PAGE_SIZE = 100;
const LOOK_AGAIN_MS = 1_000;
/** A saga goes forward for ten minutes at most, and is undone then. */
const END_TIMEOUT_MS = 900_000;

/** A student with an access token. */
export interface Student {
  email: string;
  token: string;
}

/** One student's registration, from the wish to what became of it. */
export interface Attempt {
  student: Student;
  wish: Wish;
  /** By the clock, when it was sent. */
  sentAtMs: number;
  /** Until the PUT was answered. */
  answeredAfterMs: number;
  /** Times the edge was asked; more than one where it said "not now". */
  attempts: number;
  /** Absent where the edge refused the request as such. */
  registration?: RegistrationAnswer;
  /** Code of the problem that was answered instead. */
  problem?: string;
  consistencyToken: string | undefined;
}

export type Tell = (line: string) => void;

/** All open sections of a term. */
export async function readSections(edge: Edge, termId: string): Promise<Section[]> {
  const sections: Section[] = [];
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const query = new URLSearchParams({ term: termId, limit: String(PAGE_SIZE), ...(cursor && { cursor }) });
    const answer = await edge.ask({ method: 'GET', path: `/v1/sections?${query}` });
    const page = expected(answer, 200, 'the catalog') as { items: Section[]; nextCursor?: string }; // SectionPage
    sections.push(...page.items);
    cursor = page.nextCursor;
  }
  return sections.filter(({ status }) => status === 'open');
}

export async function logInAll(edge: Edge, emails: readonly string[], tell: Tell): Promise<Student[]> {
  let done = 0;
  return inLanes(emails, LOG_INS_AT_ONCE_MAX, async (email) => {
    const answer = await edge.ask({ method: 'POST', path: '/v1/sessions', body: { email, password: DEMO_PASSWORD } });
    const session = expected(answer, 201, `a log-in as ${email}`) as { accessToken: string }; // Session
    tell(`${++done} of ${emails.length} students have logged in`);
    return { email, token: session.accessToken };
  });
}

/** Everybody at the same moment. */
export async function registerAll(
  edge: Edge,
  asks: readonly (readonly [Student, Wish])[],
  tell: Tell,
): Promise<Attempt[]> {
  let done = 0;
  return Promise.all(
    asks.map(async ([student, wish]) => {
      const sentAtMs = Date.now();
      // A new id each time: the old ones would only tell again what became of them.
      const path = `/v1/registrations/${randomUUID()}`;
      const answer = await edge.ask({ method: 'PUT', path, token: student.token, body: wish });
      tell(`${++done} of ${asks.length} registrations are decided`);
      const { tookMs: answeredAfterMs, attempts, consistencyToken } = answer;
      return { student, wish, sentAtMs, answeredAfterMs, attempts, consistencyToken, ...contentOf(answer) };
    }),
  );
}

/** Looks again and again, until every registration has ended or it takes too long. */
export async function untilEnded(edge: Edge, attempts: readonly Attempt[], tell: Tell): Promise<Attempt[]> {
  const giveUpAt = Date.now() + END_TIMEOUT_MS;
  const known = [...attempts];
  const sagas = known.filter(isPending).length;
  for (;;) {
    const open = known.entries().filter(([, attempt]) => isPending(attempt));
    await inLanes([...open], READS_AT_ONCE_MAX, async ([index, attempt]) => {
      known[index] = await lookAgain(edge, attempt);
    });
    const left = known.filter(isPending).length;
    if (left === 0 || Date.now() > giveUpAt) return known;
    tell(`${sagas - left} of ${sagas} sagas have ended`);
    await sleep(LOOK_AGAIN_MS);
  }
}

async function lookAgain(edge: Edge, attempt: Attempt): Promise<Attempt> {
  const { student, registration, consistencyToken } = attempt;
  const answer = await edge.ask({
    method: 'GET',
    path: `/v1/registrations/${registration?.id}`,
    token: student.token,
    ...(consistencyToken && { consistencyToken }),
  });
  return { ...attempt, registration: expected(answer, 200, 'a registration') as RegistrationAnswer }; // the route's
}

export function isPending({ registration }: Attempt): boolean {
  return registration?.status === 'pending';
}

function contentOf({ status, body }: Answer): Pick<Attempt, 'registration' | 'problem'> {
  if (status === 200 || status === 202) return { registration: body as RegistrationAnswer }; // the route's
  return { problem: problemOf(body) };
}

function expected({ status, body }: Answer, wanted: number, what: string): unknown {
  if (status === wanted) return body;
  throw new PlatformError(
    `The edge refused ${what} (${status} ${problemOf(body)}): has the demo campus been loaded there?`,
  );
}

function problemOf(body: unknown): string {
  return (body as { code?: string }).code ?? 'unknown'; // RFC 9457, with our code
}
