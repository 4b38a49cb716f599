/** For tests of the whole platform: students who keep registering while something happens to it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Campus } from './campus.ts';
import type { Answer, Decided, RegistrationBody } from './http.ts';

/** Slow enough for the sagas to keep up, so that what is killed is always at work. */
const GENTLE = { lanes: 2, pauseMs: 300 };
/** Always something in flight. For sections without seats: what is refused needs no saga. */
export const DENSE = { lanes: 16, pauseMs: 20 };
const CARDS = ['tok_ok', 'tok_ok', 'tok_declined', 'tok_flaky'] as const;

export interface Stream {
  /** Those that were decided so far. */
  decided: Decided[];
  /** Ends when the last request is answered. @throws what a request failed with */
  stop(): Promise<Decided[]>;
}

/** Each student asks for all of the sections, and insists until there is an answer. */
export function keepRegistering(campus: Campus, sections: string[], { lanes: count, pauseMs } = GENTLE): Stream {
  const decided: Decided[] = [];
  let isOver = false;
  async function lane(first: number): Promise<void> {
    for (let n = first; !isOver; n += count) {
      const card = CARDS[n % CARDS.length] ?? 'tok_ok';
      decided.push(await campus.http.insist(await campus.student(), { adds: sections, card }));
      await sleep(pauseMs);
    }
  }
  const lanes = Promise.all(Array.from({ length: count }, (_, number) => lane(number)));
  // Met by whoever stops the stream.
  lanes.catch(() => undefined);
  return {
    decided,
    stop: async () => {
      isOver = true;
      await lanes;
      return decided;
    },
  };
}

/** Answers that are neither a decision nor an honest "not now": a problem that says whom it waits for, and when to ask again. */
export function dishonest(decided: Decided[]): Answer<RegistrationBody>[] {
  return decided
    .flatMap(({ answers }) => answers)
    .filter(({ status, headers, body }) => {
      if (status === 200 || status === 202) return false;
      return !(status === 503 && headers['retry-after'] && /^[a-z]+-(unavailable|busy)$/.test(body.code ?? ''));
    });
}

/** What students were told and is not there: registrations, and seats that were reserved. */
export async function missing(campus: Campus, decided: Decided[]): Promise<string[]> {
  const ids = decided.map(({ id }) => id);
  const registrations = await campus.rows<{ id: string }>(
    'enrollment',
    'select id from registrations where id = any($1)',
    [ids],
  );
  const known = new Set(registrations.map(({ id }) => id));
  return [...ids.filter((id) => !known.has(id)), ...(await missingSeats(campus, decided))];
}

async function missingSeats(campus: Campus, decided: Decided[]): Promise<string[]> {
  const promised = decided.flatMap(({ id, answer }) =>
    answer.body.items.filter(({ outcome }) => outcome !== 'refused').map(({ sectionId }) => `${id} ${sectionId}`),
  );
  const rows = await campus.rows<{ key: string }>(
    'enrollment',
    `select registration_id || ' ' || section_id as key from enrollments e join registrations r on r.id = e.registration_id
     where registration_id = any($1) and (e.status in ('reserved', 'enrolled') or r.status = 'undone')`,
    [decided.map(({ id }) => id)],
  );
  const there = new Set(rows.map(({ key }) => key));
  return promised.filter((key) => !there.has(key));
}
