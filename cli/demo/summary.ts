/** What became of everybody, counted. */
import { type Latency, latencyOf } from '../bench/latency.ts';
import type { Attempt } from './opening-morning.ts';

export type Counts = Record<string, number>;

export interface Summary {
  registrations: {
    asked: number;
    completed: number;
    undone: number;
    /** Every section was refused; nothing was taken. */
    refused: number;
    cancelled: number;
    /** Had not ended when the demo stopped waiting. */
    pending: number;
    undoneByReason: Counts;
    /** Not taken up at all, by the problem's code. */
    problems: Counts;
  };
  items: {
    asked: number;
    enrolled: number;
    waitlisted: number;
    /** Reserved, and given back when the registration was undone. */
    released: number;
    reserved: number;
    refused: number;
    refusedByReason: Counts;
  };
  cards: Counts;
  latency: {
    /** Until the PUT was answered. */
    answered: Latency;
    /** From the PUT to the end of its saga. */
    ended: Latency;
  };
  /** Requests that the edge asked to repeat later. */
  repeated: number;
}

export function summaryOf(attempts: readonly Attempt[]): Summary {
  const registrations = attempts.flatMap(({ registration }) => registration ?? []);
  const statuses = counted(registrations.map(({ status }) => status));
  const items = registrations.flatMap((registration) => registration.items);
  const outcomes = counted(items.map(({ outcome }) => outcome));
  return {
    registrations: {
      asked: attempts.length,
      ...numbersOf(statuses, ['completed', 'undone', 'refused', 'cancelled', 'pending']),
      undoneByReason: counted(registrations.filter(({ status }) => status === 'undone').map(reasonOf)),
      problems: counted(attempts.flatMap(({ problem }) => problem ?? [])),
    },
    items: {
      asked: attempts.reduce((sum, { wish }) => sum + (wish.adds?.length ?? 0), 0),
      ...numbersOf(outcomes, ['enrolled', 'waitlisted', 'released', 'reserved', 'refused']),
      refusedByReason: counted(items.filter(({ outcome }) => outcome === 'refused').map(reasonOf)),
    },
    cards: counted(attempts.map(({ wish }) => wish.paymentMethod ?? 'none')),
    latency: {
      answered: latencyOf(attempts.map(({ answeredAfterMs }) => answeredAfterMs)),
      ended: latencyOf(attempts.flatMap(endedAfterMs)),
    },
    repeated: attempts.reduce((sum, { attempts: times }) => sum + times - 1, 0),
  };
}

/** Of those that a saga carried on: what is refused has ended with its answer. */
function endedAfterMs({ registration, sentAtMs }: Attempt): number[] {
  if (!registration?.endedAt || registration.status === 'refused') return [];
  return [Date.parse(registration.endedAt) - sentAtMs];
}

function reasonOf({ reason }: { reason?: string }): string {
  return reason ?? 'unknown';
}

/** Each word with how often it comes, the most frequent first. */
function counted(words: readonly string[]): Counts {
  const counts: Counts = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return Object.fromEntries(Object.entries(counts).sort(([, one], [, other]) => other - one));
}

function numbersOf<const Word extends string>(counts: Counts, words: readonly Word[]): Record<Word, number> {
  return Object.fromEntries(words.map((word) => [word, counts[word] ?? 0])) as Record<Word, number>; // one a word
}
