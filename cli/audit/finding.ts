/** What an audit finds: per invariant how much it looked at, and what breaks it. */
import type { Query } from '#lib/database';

/** More are counted no further: nobody reads a thousand, and memory has a limit. */
const BREACHES_MAX = 1_000;
const EXAMPLES_MAX = 20;

export type InvariantName = 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'I7' | 'I9' | 'I11';

export interface Breach {
  /** What breaks the invariant: a section, a registration, a material, a place in a log. */
  id: string;
  sentence: string;
}

export interface Finding {
  invariant: InvariantName;
  /** What must hold. */
  sentence: string;
  /** Things looked at. */
  checked: number;
  /** Things that break it; counted up to a thousand. */
  breaches: number;
  /** The first twenty of them. */
  examples: Breach[];
}

/** Counts what one look at an invariant sees. */
export class Tally {
  readonly #breaches = new Map<string, Breach>();
  #checked = 0;

  get hasBreaches(): boolean {
    return this.#breaches.size > 0;
  }

  count(things: number): void {
    this.#checked += things;
  }

  /** A thing breaks an invariant once, however many faults it has; the first is told. */
  breach(id: string, sentence: string): void {
    if (!this.#breaches.has(id) && this.#breaches.size < BREACHES_MAX) this.#breaches.set(id, { id, sentence });
  }

  /**
   * Runs a query that answers one row a thing, with its `id` and a `sentence` that says what is wrong, or null.
   * @param of goes before the ids.
   */
  async look(query: Query, sql: string, of = ''): Promise<void> {
    const [row] = await query<{ checked: string; breaches: Breach[] }>(
      `with looked as (${sql})
       select count(*) as checked,
         (select coalesce(json_agg(b), '[]') from (
           select id, sentence from looked where sentence is not null order by length(id), id limit ${BREACHES_MAX}) b) as breaches
       from looked`,
    );
    this.count(Number(row?.checked ?? 0));
    for (const { id, sentence } of row?.breaches ?? []) this.breach(of + id, sentence);
  }

  /** Forgets what the other look did not see just so. */
  keepSeenBy(other: Tally): void {
    for (const [id, { sentence }] of this.#breaches) {
      if (other.#breaches.get(id)?.sentence !== sentence) this.#breaches.delete(id);
    }
  }

  finding(invariant: InvariantName, sentence: string): Finding {
    const breaches = [...this.#breaches.values()];
    const examples = breaches.slice(0, EXAMPLES_MAX);
    return { invariant, sentence, checked: this.#checked, breaches: breaches.length, examples };
  }
}
