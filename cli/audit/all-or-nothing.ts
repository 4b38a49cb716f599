import type { Query } from '#lib/database';
import {
  droppedItems,
  type EndedRegistration,
  endedRegistrations,
  enrolledItems,
  type Item,
} from './ended-registrations.ts';
import { type Invariant, inSnapshots } from './platform.ts';
import { LAST_TOLD_STATUSES } from './told.ts';

const endsAreWhole = `
  select r.id::text, case
    when (r.status = 'pending') <> (r.adds_state = 'reserved' or r.drops_state = 'open')
      or (r.status = 'pending') <> (r.ended_at is null)
      then format('it is %s, with its adds %s and its drops %s', r.status, r.adds_state, r.drops_state)
    when r.status in ('undone', 'cancelled') <> (r.adds_state = 'released') and r.status <> 'pending'
      then format('it is %s, and its seats are %s', r.status, r.adds_state)
    when r.adds_state <> 'reserved' and open.sections is not null
      then format('its seats are %s, and it still holds %s', r.adds_state, open.sections)
    when r.status is distinct from told.status
      then format('it is %s, and the log tells that it is %s', r.status, coalesce(told.status, 'unknown'))
    end as sentence
  from registrations r
  left join (${LAST_TOLD_STATUSES}) told on told.id = r.id
  left join (
    select registration_id, string_agg(section_id, ', ' order by section_id) as sections
    from enrollments where status = 'reserved' group by registration_id
  ) open on open.registration_id = r.id`;

interface Line {
  sectionId: string;
  materialId: string;
  quantity: number;
  state: 'reserved' | 'released' | 'issued';
}

/** What the other services have of a registration. */
interface Traces {
  charge: string | undefined;
  recording: string | undefined;
  /** Transcript entries' status by section. */
  entries: Record<string, string>;
  lines: Line[];
}

type Services = Record<'billing' | 'records' | 'bookstore', Query>;

/** I7 */
export const allOrNothing: Invariant = {
  name: 'I7',
  sentence: 'A registration that has ended is done in every service, or in none',
  // A drop that begins between the instants shows in the transcript before it shows here; a second look sees it in both.
  looksTwice: true,
  look: (audited, tally) =>
    inSnapshots(audited, ['enrollment', 'billing', 'records', 'bookstore'], async ({ enrollment, ...others }) => {
      await tally.look(enrollment, endsAreWhole);
      for await (const page of endedRegistrations(enrollment, audited.settledSeconds)) {
        const tracesOf = await readTraces(others, page);
        for (const registration of page) {
          tally.count(1);
          for (const fault of faultsOf(registration, tracesOf)) tally.breach(registration.id, fault);
        }
      }
    }),
};

async function readTraces(
  { billing, records, bookstore }: Services,
  page: EndedRegistration[],
): Promise<(id: string) => Traces> {
  const droppedFrom = page.flatMap((registration) => droppedItems(registration).map(({ enrolledBy }) => enrolledBy));
  const ids = [...new Set([...page.map(({ id }) => id), ...droppedFrom])];
  const charges = await byId<{ status: string }>(
    billing,
    'select registration_id as id, status from charges where registration_id = any($1::uuid[])',
    ids,
  );
  const recordings = await byId<{ status: string; entries: Record<string, string> }>(
    records,
    `select r.registration_id as id, r.status, (select coalesce(json_object_agg(section_id, t.status), '{}')
       from transcript_entries t where t.registration_id = r.registration_id) as entries
     from recordings r where registration_id = any($1::uuid[])`,
    ids,
  );
  const reservations = await byId<{ lines: Line[] }>(
    bookstore,
    `select registration_id as id, json_agg(json_build_object('sectionId', section_id, 'materialId', material_id,
       'quantity', quantity, 'state', state)) as lines
     from reservation_lines where registration_id = any($1::uuid[]) group by registration_id`,
    ids,
  );
  return (id) => ({
    charge: charges.get(id)?.status,
    recording: recordings.get(id)?.status,
    entries: recordings.get(id)?.entries ?? {},
    lines: reservations.get(id)?.lines ?? [],
  });
}

async function byId<Row>(query: Query, sql: string, ids: string[]): Promise<Map<string, Row>> {
  const rows = await query<Row & { id: string }>(sql, [ids]);
  return new Map(rows.map((row) => [row.id, row]));
}

function* faultsOf(registration: EndedRegistration, tracesOf: (id: string) => Traces): Generator<string> {
  const traces = tracesOf(registration.id);
  if (registration.adds === 'confirmed') yield* faultsOfDone(registration, traces);
  else yield* leftBehind(registration, traces);
  for (const { sectionId, enrolledBy } of droppedItems(registration)) {
    const { entries, lines } = tracesOf(enrolledBy);
    if (entries[sectionId] === 'enrolled') yield `it dropped ${sectionId}, and the transcript still shows it`;
    if (lines.some((line) => line.sectionId === sectionId && line.state === 'reserved'))
      yield `it dropped ${sectionId}, and its materials are still set aside`;
  }
}

function* leftBehind(
  { status, items }: EndedRegistration,
  { charge, recording, entries, lines }: Traces,
): Generator<string> {
  const is = `it is ${status}`;
  const seat = items.find(({ outcome }) => outcome === 'OUTCOME_RESERVED' || outcome === 'OUTCOME_ENROLLED');
  if (seat) yield `${is}, and shows a seat in ${seat.sectionId}`;
  if (charge === 'requested' || charge === 'charged') yield `${is}, and its charge is ${charge}`;
  if (recording === 'recorded') yield `${is}, and records has not withdrawn it`;
  for (const [sectionId, entry] of Object.entries(entries))
    if (entry !== 'withdrawn') yield `${is}, and the transcript shows ${sectionId} ${entry}`;
  for (const { materialId, state } of lines) if (state !== 'released') yield `${is}, and its ${materialId} is ${state}`;
}

function* faultsOfDone(
  registration: EndedRegistration,
  { charge, recording, entries, lines }: Traces,
): Generator<string> {
  const enrolled = enrolledItems(registration);
  const reserved = registration.items.find(({ outcome }) => outcome === 'OUTCOME_RESERVED');
  if (reserved) yield `it is enrolled, and shows ${reserved.sectionId} only reserved`;
  if (charge !== 'charged') yield `it is enrolled, and its charge is ${charge ?? 'missing'}`;
  if (recording !== 'recorded') yield `it is enrolled, and its recording is ${recording ?? 'missing'}`;
  for (const { sectionId } of enrolled) {
    const entry = entries[sectionId] ?? 'missing';
    // A seat that was dropped may still be in the transcript: its drop has a saga of its own, which is looked at when it has ended.
    const isRight = entry === 'enrolled' || (entry === 'dropped' && registration.rows[sectionId] !== 'enrolled');
    if (!isRight) yield `${sectionId} is enrolled, and the transcript entry is ${entry}`;
  }
  const sections = new Set(enrolled.map(({ sectionId }) => sectionId));
  for (const sectionId of Object.keys(entries))
    if (!sections.has(sectionId)) yield `the transcript shows ${sectionId}, and it was not enrolled`;
  yield* faultsOfMaterials(registration, enrolled, lines);
}

function* faultsOfMaterials(
  { buysMaterials, rows }: EndedRegistration,
  enrolled: Item[],
  lines: Line[],
): Generator<string> {
  const wanted = new Map<string, number>();
  for (const { sectionId, materials = [] } of buysMaterials ? enrolled : []) {
    for (const { materialId, quantity } of materials) {
      const key = `${materialId} of ${sectionId}`;
      wanted.set(key, (wanted.get(key) ?? 0) + quantity);
    }
  }
  for (const { sectionId, materialId, quantity, state } of lines) {
    const key = `${materialId} of ${sectionId}`;
    const asked = wanted.get(key) ?? 0;
    wanted.delete(key);
    if (asked !== quantity) yield `it bought ${asked} ${key}, and ${quantity} are ${state}`;
    if (state === 'released' && rows[sectionId] === 'enrolled')
      yield `${sectionId} is enrolled, and its ${materialId} was put back`;
  }
  for (const [key, quantity] of wanted) yield `it bought ${quantity} ${key}, and nothing was set aside`;
}
