/** A term to measure in: sections enough that nobody is refused, and students with real tokens. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Clients } from '#lib/clients';
import { type accessTokenSigner, accessTokenSigner as signerOf } from '#lib/token';
import { BillingService } from '#proto/billing/v1/service';
import { Day, SectionStatus } from '#proto/catalog/v1/catalog';
import { CatalogService } from '#proto/catalog/v1/service';

export const TERM = 'BENCH';
/** Weekly times that do not collide; a student takes one section at each of five of them. */
const TIMES = 40;
const SECTIONS_PER_TIME = 50;
export const SECTIONS_PER_STUDENT = 5;
const CAPACITY = 9_999;
const PUT_MAX = 200;
const FIRST_NUMBER = 10_000;

/** Publishes the term's {@link TIMES} × {@link SECTIONS_PER_TIME} sections. */
export async function publishTerm(clients: Clients): Promise<void> {
  const catalog = clients.of(CatalogService, 'catalog');
  const timeZone = 'America/Los_Angeles';
  const term = { id: TERM, name: 'Bench', timeZone, startsOn: '2026-09-21', endsOn: '2026-12-11', creditsMax: 20 };
  await catalog.putTerms({ terms: [term] });
  await catalog.putCourses({
    courses: [{ id: 'BENCH-1', subject: 'BENCH', code: 'BENCH 1', title: 'Bench', credits: 4 }],
  });
  const perCredit = { amount: 10_000n, currency: 'USD' };
  await clients
    .of(BillingService, 'billing')
    .setTuitionRate({ rate: { termId: TERM, perCredit, timeZone, refunds: [] } });
  const sections = Array.from({ length: TIMES * SECTIONS_PER_TIME }, (_, index) => sectionAt(index));
  for (let from = 0; from < sections.length; from += PUT_MAX) {
    await catalog.putSections({ sections: sections.slice(from, from + PUT_MAX) }, { timeoutMs: 30_000 });
  }
}

export function sectionAt(index: number) {
  const time = index % TIMES;
  const hour = String(8 + (time % 8)).padStart(2, '0');
  const day = (Math.floor(time / 8) + Day.MONDAY) as Day; // five days of eight hours
  return {
    id: `${TERM}-${FIRST_NUMBER + index}`,
    termId: TERM,
    courseId: 'BENCH-1',
    code: String(index),
    capacity: CAPACITY,
    status: SectionStatus.OPEN,
    fee: { amount: 2_500n, currency: 'USD' },
    meetings: [{ kind: 'lecture', days: [day], startsAt: `${hour}:00`, endsAt: `${hour}:50`, room: '' }],
  };
}

/** Five sections at different times; low numbers are popular, as in life. */
export function pickSections(): string[] {
  const first = Math.floor(Math.random() * TIMES);
  return Array.from({ length: SECTIONS_PER_STUDENT }, (_, step) => {
    const time = (first + step * 7) % TIMES;
    const row = Math.floor(Math.random() ** 2 * SECTIONS_PER_TIME);
    return `${TERM}-${FIRST_NUMBER + row * TIMES + time}`;
  });
}

export interface Applicant {
  studentId: string;
  token: string;
  registrationId: string;
  /** Body of the PUT. */
  body: string;
}

/** Students that register once each, with tokens that identity's own key has signed. */
export async function makeApplicants(signingKeyFile: string, count: number): Promise<Applicant[]> {
  const sign = await readSigner(signingKeyFile);
  return Promise.all(
    Array.from({ length: count }, async () => {
      const studentId = `bench-${randomUUID()}`;
      const adds = pickSections().map((sectionId) => ({ sectionId }));
      return {
        studentId,
        token: await sign(studentId, ['student']),
        registrationId: randomUUID(),
        body: JSON.stringify({ adds, drops: [], mode: 'each', paymentMethod: 'tok_ok', materials: 'none' }),
      };
    }),
  );
}

async function readSigner(file: string): ReturnType<typeof accessTokenSigner> {
  const { keys } = JSON.parse(await readFile(file, 'utf8'));
  return signerOf(keys[0]);
}
