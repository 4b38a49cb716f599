import type { Query } from '#lib/database';
import { droppedItems, type EndedRegistration, endedRegistrations, enrolledItems } from './ended-registrations.ts';
import type { Tally } from './finding.ts';
import { type Invariant, inSnapshots } from './platform.ts';

interface Line {
  sectionId: string;
  tuition: string;
  fee: string;
  materials: string;
}

interface Charge {
  id: string;
  status: string;
  total: string;
  refunded: string;
  /** What drops have given back. */
  droppedAmount: string;
  /** What the ledger says the provider holds for us. */
  net: string;
  lines: Line[];
  /** What a credit has ever cost in the charge's term. */
  rates: string[];
}

/** I5 */
export const chargedOnce: Invariant = {
  name: 'I5',
  sentence: 'Who is enrolled has paid the price once, less what drops gave back; nobody else has paid anything',
  // A drop may come between the two instants. It changes a charge, its refunds and the ledger in one transaction, so billing by itself
  // always adds up; and what enrollment says of the registration that was charged is not changed by it.
  looksTwice: true,
  look: (audited, tally) =>
    inSnapshots(audited, ['enrollment', 'billing', 'bookstore'], async ({ enrollment, ...others }) => {
      for await (const page of endedRegistrations(enrollment, audited.settledSeconds)) {
        const charges = await chargesOf(others.billing, page);
        for (const registration of page) {
          tally.count(1);
          const [fault] = faultsOfCharge(registration, charges.get(registration.id));
          if (fault) tally.breach(registration.id, fault);
        }
        await lookAtDrops(others, page, tally);
      }
    }),
};

async function chargesOf(billing: Query, page: EndedRegistration[]): Promise<Map<string, Charge>> {
  const charges = await billing<Charge>(
    `select c.registration_id as id, c.status, c.total, c.refunded,
       (select coalesce(sum(tuition + fee + materials), 0) from drop_refunds d
        where d.charge_id = c.registration_id and d.status = 'refunded') as "droppedAmount",
       (select coalesce(sum(p.amount), 0) from journal_entries e join postings p on p.entry_id = e.id
        where e.charge_id = c.registration_id and p.account = 'provider-clearing') as net,
       (select coalesce(json_agg(json_build_object('sectionId', l.section_id, 'tuition', l.tuition::text, 'fee', l.fee::text,
          'materials', l.materials::text)), '[]') from charge_lines l where l.registration_id = c.registration_id) as lines,
       coalesce(rates.amounts, '{}') as rates
     from charges c
     left join (
       select data -> 'rate' ->> 'termId' as term_id,
         array_agg(distinct coalesce(data -> 'rate' -> 'perCredit' ->> 'amount', '0')) as amounts
       from events where type = 'registrar.billing.v1.TuitionRateSet' group by 1
     ) rates on rates.term_id = c.term_id
     where c.registration_id = any($1::uuid[])`,
    [page.map(({ id }) => id)],
  );
  return new Map(charges.map((charge) => [charge.id, charge]));
}

function* faultsOfCharge(registration: EndedRegistration, charge: Charge | undefined): Generator<string> {
  if (registration.adds !== 'confirmed') {
    const kept = charge ? BigInt(charge.net) : 0n;
    if (kept !== 0n) yield `it is ${registration.status}, and ${kept} of its charge was kept`;
    return;
  }
  if (!charge) return yield 'it is enrolled, and nothing was charged';
  const { total, refunded, droppedAmount, net, lines } = charge;
  const price = lines.reduce(
    (sum, { tuition, fee, materials }) => sum + BigInt(tuition) + BigInt(fee) + BigInt(materials),
    0n,
  );
  if (BigInt(total) !== price) yield `its charge is ${total}, and its lines add up to ${price}`;
  if (refunded !== droppedAmount)
    yield `${refunded} of its charge counts as given back, and drops gave back ${droppedAmount}`;
  const owed = price - BigInt(droppedAmount);
  if (BigInt(net) !== owed) yield `its price less what drops gave back is ${owed}, and the ledger has ${net}`;
  yield* faultsOfLines(registration, charge);
}

/** The price is of exactly the sections that were enrolled, at a rate that the term has had. */
function* faultsOfLines(registration: EndedRegistration, { lines, rates }: Charge): Generator<string> {
  const items = new Map(enrolledItems(registration).map((item) => [item.sectionId, item]));
  if (lines.length !== items.size) yield `${items.size} sections are enrolled, and ${lines.length} were charged`;
  for (const { sectionId, tuition, fee, materials } of lines) {
    const item = items.get(sectionId);
    if (!item) {
      yield `${sectionId} was charged, and is not enrolled`;
      continue;
    }
    if (fee !== (item.fee?.amount ?? '0'))
      yield `the fee of ${sectionId} is ${item.fee?.amount ?? 0}, and ${fee} was charged`;
    const credits = BigInt(item.credits ?? 0);
    if (!rates.some((rate) => BigInt(rate) * credits === BigInt(tuition)))
      yield `${credits} credits of ${sectionId} have never cost ${tuition}`;
    if (!registration.buysMaterials && materials !== '0')
      yield `materials of ${sectionId} were charged, and not asked for`;
  }
}

/**
 * Each enrolled section that was dropped gave back its share once, and its materials unless the student has them. One that is still being
 * asked for is I6's.
 */
async function lookAtDrops(
  { billing, bookstore }: Record<'billing' | 'bookstore', Query>,
  page: EndedRegistration[],
  tally: Tally,
): Promise<void> {
  const drops = page.flatMap((registration) =>
    droppedItems(registration).map((dropped) => ({ ...dropped, dropId: registration.id })),
  );
  if (drops.length === 0) return;
  const issued = await issuedSections(
    bookstore,
    drops.map(({ enrolledBy }) => enrolledBy),
  );
  const rows = await billing<{ dropId: string; sentence: string | null }>(
    `select dropped.drop_id as "dropId", case
       when d.charge_id is null then format('it dropped %s, and no refund was written down', dropped.section_id)
       when d.drop_id <> dropped.drop_id then format('the refund of %s belongs to %s', dropped.section_id, d.drop_id)
       when d.tuition + d.fee <> (l.tuition + l.fee) * d.percent / 100 or d.materials <> case when dropped.is_issued then 0 else l.materials end
         then format('it gave back %s of %s and %s of materials, which is not %s %%', d.tuition + d.fee, dropped.section_id,
           d.materials, d.percent)
       end as sentence
     from unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[]) as dropped (drop_id, charge_id, section_id, is_issued)
     join charge_lines l on l.registration_id = dropped.charge_id and l.section_id = dropped.section_id
     left join drop_refunds d on d.charge_id = dropped.charge_id and d.section_id = dropped.section_id`,
    [
      drops.map(({ dropId }) => dropId),
      drops.map(({ enrolledBy }) => enrolledBy),
      drops.map(({ sectionId }) => sectionId),
      drops.map(({ enrolledBy, sectionId }) => issued.has(`${enrolledBy}/${sectionId}`)),
    ],
  );
  tally.count(rows.length);
  for (const { dropId, sentence } of rows) if (sentence) tally.breach(dropId, sentence);
}

/** Those whose copies were handed over, as `registration/section`. */
async function issuedSections(bookstore: Query, registrationIds: string[]): Promise<Set<string>> {
  const rows = await bookstore<{ key: string }>(
    `select distinct registration_id || '/' || section_id as key from reservation_lines
     where registration_id = any($1::uuid[]) and state = 'issued'`,
    [registrationIds],
  );
  return new Set(rows.map(({ key }) => key));
}
