/** Registrations that have ended, in pages, as enrollment has them. */
import type { Query } from '#lib/database';

const PAGE_SIZE = 200;

/** An item as protobuf writes it in JSON, which leaves out what is zero or empty. */
export interface Item {
  sectionId: string;
  action: 'ACTION_ADD' | 'ACTION_DROP';
  outcome: string;
  credits?: number;
  fee?: { amount?: string };
  materials?: { materialId: string; quantity: number }[];
  /** Of a drop: the registration that had enrolled the student. */
  enrolledBy?: string;
}

export interface EndedRegistration {
  id: string;
  status: 'completed' | 'undone' | 'refused' | 'cancelled';
  /** What became of the reserved seats. */
  adds: 'none' | 'confirmed' | 'released';
  buysMaterials: boolean;
  items: Item[];
  /** Its enrollments' status by section: a later drop shows here at once, and elsewhere when its own saga has come so far. */
  rows: Record<string, string>;
}

/**
 * All that ended at least `settledSeconds` ago. A saga tells its end last: what this shows as ended has taken all its effects elsewhere
 * before the instant of this query.
 */
export async function* endedRegistrations(query: Query, settledSeconds: number): AsyncGenerator<EndedRegistration[]> {
  let after: string | undefined;
  do {
    const page = await query<EndedRegistration>(
      `with page as (
         select r.id, r.status, r.adds_state as adds, coalesce(r.body -> 'items', '[]') as items,
           coalesce(r.body ->> 'materials', '') = 'MATERIALS_BUY' as "buysMaterials"
         from registration_states r
         where ($1::uuid is null or r.id > $1) and ${hasEnded('r', '$2')} order by r.id limit ${PAGE_SIZE}
       ), made as (
         select registration_id as id, json_object_agg(section_id, status) as rows
         from enrollments where registration_id in (select id from page) group by registration_id
       )
       select page.*, coalesce(made.rows, '{}') as rows from page left join made using (id) order by page.id`,
      [after, settledSeconds],
    );
    if (page.length > 0) yield page;
    after = page.length < PAGE_SIZE ? undefined : page.at(-1)?.id;
  } while (after !== undefined);
}

/** Those of these ids that ended at least `settledSeconds` ago. */
export async function endedAmong(query: Query, ids: string[], settledSeconds: number): Promise<Set<string>> {
  const rows = await query<{ id: string }>(
    `select r.id from registrations r where r.id = any($1::uuid[]) and ${hasEnded('r', '$2')}`,
    [ids, settledSeconds],
  );
  return new Set(rows.map(({ id }) => id));
}

function hasEnded(table: string, seconds: string): string {
  return `${table}.ended_at <= now() - make_interval(secs => ${seconds})`;
}

/** Seats that a registration has enrolled, also where they were dropped since. */
export function enrolledItems({ items }: EndedRegistration): Item[] {
  return items.filter(({ action, outcome }) => action === 'ACTION_ADD' && outcome === 'OUTCOME_ENROLLED');
}

/** Seats that a registration has dropped, each with the registration that had enrolled it. A place on a waitlist is none. */
export function droppedItems({ items }: EndedRegistration): { sectionId: string; enrolledBy: string }[] {
  return items.flatMap(({ action, outcome, sectionId, enrolledBy }) =>
    action === 'ACTION_DROP' && outcome === 'OUTCOME_DROPPED' && enrolledBy ? [{ sectionId, enrolledBy }] : [],
  );
}
