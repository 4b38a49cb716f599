import type { Query } from '#lib/database';
import { type BookEntry, bookPages } from './book.ts';
import { endedAmong, endedRegistrations } from './ended-registrations.ts';
import type { Tally } from './finding.ts';
import { type Audited, type Invariant, inSnapshots } from './platform.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const MISSING_MAX = 1_000;

const ENTRIES_BALANCE = `
  select 'entry ' || e.id as id, string_agg(format('its postings in %s add up to %s', p.currency, p.sum), '; ')
    filter (where p.sum <> 0) as sentence
  from journal_entries e
  left join (
    select entry_id, currency, sum(amount) as sum from postings group by entry_id, currency having sum(amount) <> 0
  ) p on p.entry_id = e.id
  group by e.id`;

/** A charge as the ledger has it. */
interface Standing {
  id: string;
  currency: string;
  net: string;
  /** A refund of it is being asked for: the provider may have given it already. */
  isMoving: boolean;
}

const STANDINGS = `
  select c.registration_id as id, c.currency, coalesce(l.net, 0) as net,
    exists (select from drop_refunds d where d.charge_id = c.registration_id and d.status = 'requested') as "isMoving"
  from charges c
  left join lateral (
    select sum(p.amount) as net from journal_entries e join postings p on p.entry_id = e.id
    where e.charge_id = c.registration_id and p.account = 'provider-clearing'
  ) l on true`;

/** I6 */
export const ledgerBalances: Invariant = {
  name: 'I6',
  sentence: "Every journal entry sums to zero, and the ledger is the payment provider's own book",
  // The book cannot be read as of one instant; it comes last, so it may be ahead of the ledger by a drop that began in between. A second
  // look then finds that drop in the ledger, or still being asked for.
  looksTwice: true,
  look: (audited, tally) =>
    inSnapshots(audited, ['enrollment', 'billing'], async ({ enrollment, billing }) => {
      await tally.look(billing, ENTRIES_BALANCE);
      await lookForRequests({ enrollment, billing }, audited, tally);
      await compareWithBook({ enrollment, billing }, audited, tally);
    }),
};

interface Queries {
  enrollment: Query;
  billing: Query;
}

/** What has ended has been answered. */
async function lookForRequests({ enrollment, billing }: Queries, audited: Audited, tally: Tally): Promise<void> {
  for await (const page of endedRegistrations(enrollment, audited.settledSeconds)) {
    const rows = await billing<{ id: string; sentence: string }>(
      `select registration_id as id, 'it has ended, and its charge is still being asked for' as sentence
       from charges where registration_id = any($1::uuid[]) and status = 'requested'
       union all
       select drop_id, format('it has ended, and the refund of %s is still being asked for', section_id)
       from drop_refunds where drop_id = any($1::uuid[]) and status = 'requested'`,
      [page.map(({ id }) => id)],
    );
    tally.count(page.length);
    for (const { id, sentence } of rows) tally.breach(id, sentence);
  }
}

/** Page by page: each charge of the book against the ledger, and charges of the ledger that the book skips. */
async function compareWithBook({ enrollment, billing }: Queries, audited: Audited, tally: Tally): Promise<void> {
  let after: string | undefined;
  for await (const { entries, isLast } of bookPages(audited.providerUrl)) {
    // Whatever the provider's collation is, UUIDs in lower case sort as their bytes do, which is how the ledger sorts them.
    const ids = entries.map(({ key }) => key).filter((key) => UUID.test(key));
    const ended = await endedAmong(enrollment, ids, audited.settledSeconds);
    const ledger = await billing<Standing>(`${STANDINGS} where c.registration_id = any($1::uuid[])`, [ids]);
    const known = new Map(ledger.map((standing) => [standing.id, standing]));
    for (const entry of entries) {
      const fault = faultOf(entry, known.get(entry.key), ended.has(entry.key));
      if (fault) tally.breach(entry.key, fault);
    }
    tally.count(entries.length);
    const upTo = isLast ? undefined : (ids.at(-1) ?? after);
    await lookForMissing(billing, { ids, after, upTo, isLast }, tally);
    after = upTo;
  }
}

/**
 * A registration that has not ended may be between the provider's answer and the ledger's note of it; an ended one is not, unless a
 * drop of it is under way.
 */
function faultOf(entry: BookEntry, standing: Standing | undefined, hasEnded: boolean): string | undefined {
  const { charged, refunded, currency, refunds } = entry;
  const net = charged - refunded;
  if (refunds.reduce((sum, { amount }) => sum + amount, 0) !== refunded)
    return `the provider has given back ${refunded}, and its refunds do not add up to it`;
  if (!standing) return `the provider has a charge of ${charged} less ${refunded}, and billing knows of none`;
  if (!hasEnded || standing.isMoving) return undefined;
  if (BigInt(net) !== BigInt(standing.net)) return `the provider has kept ${net}, and the ledger says ${standing.net}`;
  if (net !== 0 && currency !== standing.currency)
    return `the provider charged it in ${currency}, and the ledger in ${standing.currency}`;
  return undefined;
}

/** Money is posted after the provider has taken it, so what the ledger has is in a book that is read later. */
async function lookForMissing(
  billing: Query,
  { ids, after, upTo, isLast }: { ids: string[]; after: string | undefined; upTo: string | undefined; isLast: boolean },
  tally: Tally,
): Promise<void> {
  if (!isLast && upTo === after) return;
  const missing = await billing<Standing>(
    `${STANDINGS}
     where ($1::uuid is null or c.registration_id > $1) and ($2::uuid is null or c.registration_id <= $2)
       and c.registration_id <> all($3::uuid[]) and l.net <> 0
     order by c.registration_id limit ${MISSING_MAX}`,
    [after, upTo, ids],
  );
  for (const { id, net } of missing) tally.breach(id, `the ledger says ${net}, and the provider knows of no charge`);
}
