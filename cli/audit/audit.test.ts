import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { audit } from './audit.ts';
import type { Finding, InvariantName } from './finding.ts';
import { type Happened, type History, makeHistory, type Wrongs } from './history.testing.ts';

let history: History;

beforeAll(async () => {
  history = await makeHistory();
});
afterAll(() => history.stop());

function brokenIn(findings: Finding[]): InvariantName[] {
  return findings.filter(({ breaches }) => breaches > 0).map(({ invariant }) => invariant);
}

test('a campus on which everything has happened holds everything, and everything was looked at', async () => {
  const findings = await history.auditAfter({});

  expect(findings.flatMap(({ examples }) => examples)).toEqual([]);
  expect(findings.map(({ invariant }) => invariant)).toEqual(['I1', 'I2', 'I3', 'I4', 'I5', 'I6', 'I7', 'I9', 'I11']);
  for (const { checked } of findings) expect(checked).toBeGreaterThan(0);
});

test('what ended a moment ago is left for the next audit', async () => {
  const { urls, providerUrl } = history;
  const hour = 3_600;

  const findings = await audit({ databaseUrl: (name) => urls[name], providerUrl, settledSeconds: hour });

  const checkedOf = (name: InvariantName) => findings.find(({ invariant }) => invariant === name)?.checked;
  expect(brokenIn(findings)).toEqual([]);
  expect(checkedOf('I5')).toBe(0);
});

test('an audit that cannot read a database says which', async () => {
  const databaseUrl = () => 'postgres://nobody@127.0.0.1:9/nowhere';

  await expect(audit({ databaseUrl, providerUrl: history.providerUrl })).rejects.toThrow(
    /^The database enrollment cannot be audited \(.+\): see whether the platform is running\.$/,
  );
});

test("an audit that cannot read the provider's book says so", async () => {
  const { urls } = history;

  await expect(audit({ databaseUrl: (name) => urls[name], providerUrl: 'http://127.0.0.1:9' })).rejects.toThrow(
    /^The payment provider's book cannot be read \(.+\): see whether http:\/\/127\.0\.0\.1:9 answers\.$/,
  );
});

type Case = [what: string, broken: InvariantName[], wrongs: (happened: Happened) => Wrongs];

/** Where the log tells the seats that were left when a registration was decided. */
function countedAfter(registrationId: string): string {
  return `(select min(position) from events where type like '%SeatsCounted' and position >
    (select position from events where subject = '${registrationId}' and type like '%RegistrationDecided'))`;
}

const seats: Case[] = [
  ['a counter is wrong', ['I1'], () => ({ enrollment: 'update sections set taken = taken + 1 where taken = 0' })],
  [
    'a section has more live seats than it has',
    ['I1'],
    () => ({
      enrollment: `alter table sections drop constraint never_oversold;
        update sections set capacity = 1 where taken > 1`,
    }),
  ],
  [
    'a section was oversold for one commit, long ago',
    ['I1'],
    ({ enrolled }) => ({
      enrollment: `update events set data = jsonb_set(data::jsonb, '{seats,0,taken}', '11')
        where position = ${countedAfter(enrolled)}`,
    }),
  ],
  [
    'a newer count was told before an older one',
    ['I1'],
    ({ enrolled }) => ({
      enrollment: `update events set data = jsonb_set(data::jsonb, '{seats,0,version}', '"1000"')
        where position = ${countedAfter(enrolled)}`,
    }),
  ],
  [
    'an enrollment that was dropped has lost its row',
    ['I2'],
    ({ dropped }) => ({
      enrollment: `delete from enrollments where registration_id = '${dropped}' and status = 'dropped'`,
    }),
  ],
  [
    'a live enrollment has lost its row',
    ['I1', 'I2'],
    ({ enrolled }) => ({ enrollment: `delete from enrollments where registration_id = '${enrolled}'` }),
  ],
  [
    'the log tells of an enrollment that is otherwise',
    ['I2'],
    ({ declined }) => ({
      enrollment: `update enrollments set status = 'dropped' where registration_id = '${declined}'`,
    }),
  ],
  [
    'a refused registration has an enrollment',
    ['I3'],
    ({ refused }) => ({
      enrollment: `insert into enrollments select '${refused}', id, 'jo', 'released' from sections limit 1`,
    }),
  ],
  [
    'an enrollment has no registration',
    ['I3'],
    () => ({
      enrollment: `insert into enrollments select gen_random_uuid(), id, 'jo', 'released' from sections limit 1`,
    }),
  ],
  [
    'a refused registration has left a trace in records',
    ['I3'],
    ({ refused }) => ({ records: `insert into recordings values ('${refused}', 'jo', 'withdrawn')` }),
  ],
  [
    'bookstore has materials set aside for a registration that nobody knows',
    ['I3'],
    () => ({ bookstore: "insert into reservations values (gen_random_uuid(), 'jo', 'open', '{}')" }),
  ],
  [
    'a student waits twice for one section',
    ['I4'],
    () => ({
      // Kim becomes hana, everywhere: so nothing else is wrong.
      enrollment: `drop index one_live_enrollment;
        update enrollments set student_id = 'hana' where student_id = 'kim';
        update registrations r set student_id = 'hana', changed = replace(s.body::text, '"kim"', '"hana"')::json
          from registration_states s where s.id = r.id and r.student_id = 'kim';
        update events set data = replace(data::text, '"kim"', '"hana"')::json`,
    }),
  ],
];

const money: Case[] = [
  [
    'a charge counts as given back what no drop gave back',
    ['I5'],
    ({ enrolled }) => ({ billing: `update charges set refunded = 100 where registration_id = '${enrolled}'` }),
  ],
  [
    'the ledger has a price twice',
    ['I5', 'I6'],
    ({ enrolled }) => ({
      billing: `with entry as (insert into journal_entries (charge_id, cause) values ('${enrolled}', 'again') returning id)
        insert into postings (entry_id, account, kind, description, amount, currency)
        select entry.id, account, kind, description, amount, currency
        from entry, postings p join journal_entries e on e.id = p.entry_id where e.charge_id = '${enrolled}'`,
    }),
  ],
  [
    'a section was charged at a rate that its term never had',
    ['I5'],
    ({ enrolled }) => ({
      billing: `update charge_lines set tuition = tuition + 1, fee = fee - 1 where registration_id = '${enrolled}'`,
    }),
  ],
  [
    'a drop was not refunded',
    ['I5'],
    ({ dropped }) => ({ billing: `delete from drop_refunds where charge_id = '${dropped}'` }),
  ],
  [
    'a drop gave back another share than it says',
    ['I5'],
    ({ dropped }) => ({
      billing: `update drop_refunds set percent = 60 where charge_id = '${dropped}'`,
    }),
  ],
  [
    'a drop gave back the price of a book that the student has',
    ['I5'],
    ({ dropped }) => ({
      bookstore: `update materials set stock = stock - 1, issued = issued + 1
          where id in (select material_id from reservation_lines where registration_id = '${dropped}');
        update reservation_lines set state = 'issued' where registration_id = '${dropped}'`,
    }),
  ],
  [
    'a journal entry does not balance',
    ['I6'],
    ({ enrolled }) => ({
      billing: `alter table postings disable trigger all;
        update postings set amount = amount + 1 where account = 'tuition-revenue'
          and entry_id in (select id from journal_entries where charge_id = '${enrolled}')`,
    }),
  ],
  [
    'the provider has given money back on its own',
    ['I6'],
    ({ enrolled }) => ({
      provider: `insert into refunds values ('${enrolled}', 'by hand', 100);
        update charges set refunded = refunded + 100 where key = '${enrolled}'`,
    }),
  ],
  [
    'the provider has forgotten a charge',
    ['I6'],
    ({ enrolled }) => ({ provider: `delete from charges where key = '${enrolled}'` }),
  ],
  ['the provider has forgotten everything', ['I6'], () => ({ provider: 'truncate charges, refunds' })],
  [
    'the provider has charged what nobody asked for',
    ['I6'],
    () => ({
      provider: `insert into charges (key, amount, currency, card, description, status, charged)
        values ('who knows', 100, 'USD', 'tok_ok', '', 'charged', 100)`,
    }),
  ],
  [
    'the provider is still being asked for a refund of a drop that has ended',
    ['I5', 'I6'],
    ({ dropped }) => ({ billing: `update drop_refunds set status = 'requested' where charge_id = '${dropped}'` }),
  ],
];

const sagas: Case[] = [
  [
    'a completed registration is not in the transcript',
    ['I7'],
    ({ enrolled }) => ({ records: `delete from transcript_entries where registration_id = '${enrolled}'` }),
  ],
  [
    'a dropped section is still in the transcript',
    ['I7'],
    ({ dropped }) => ({
      records: `update transcript_entries set status = 'enrolled' where registration_id = '${dropped}'`,
    }),
  ],
  [
    'an undone registration is still recorded',
    ['I7'],
    ({ cancelled }) => ({
      records: `insert into recordings values ('${cancelled}', 'emil', 'recorded')
      on conflict (registration_id) do update set status = 'recorded'`,
    }),
  ],
  [
    'a bought material was put back on the shelf',
    ['I7'],
    ({ enrolled }) => ({
      bookstore: `update materials set stock = stock + 1, reserved = reserved - 1
          where id in (select material_id from reservation_lines where registration_id = '${enrolled}');
        update reservation_lines set state = 'released' where registration_id = '${enrolled}'`,
    }),
  ],
  [
    'an undone registration has its charge',
    ['I7'],
    ({ outOfStock }) => ({
      billing: `update charges set status = 'charged' where registration_id = '${outOfStock}'`,
    }),
  ],
  [
    'a registration ended otherwise than the log tells',
    ['I7'],
    ({ declined }) => ({ enrollment: `update registrations set status = 'cancelled' where id = '${declined}'` }),
  ],
];

const rest: Case[] = [
  [
    'a copy has disappeared from the shelf',
    ['I9'],
    () => ({
      bookstore: `alter table materials drop constraint materials_check;
        update materials set stock = stock - 1 where stock > 0`,
    }),
  ],
  [
    'more copies are issued than anybody has',
    ['I9'],
    () => ({ bookstore: 'update materials set stock = stock - 1, issued = issued + 1 where stock > 0' }),
  ],
  ['a log has a gap', ['I11'], () => ({ catalog: 'delete from events where position = 2' })],
  [
    'a log has lost its end',
    ['I11'],
    () => ({ records: 'delete from events where position = (select max(position) from events)' }),
  ],
  [
    'a log goes back in time',
    ['I11'],
    () => ({ billing: "update events set at = at + interval '1 hour' where position = 2" }),
  ],
  [
    'a follower has read what was never written',
    ['I11'],
    () => ({ views: "update checkpoints set position = position + 1 where source = 'bookstore'" }),
  ],
];

describe.each([
  ['seats', seats],
  ['money', money],
  ['sagas', sagas],
  ['copies and logs', rest],
])('%s', (_what, cases) => {
  // Each one on copies of its own, and most of the time it waits for the second look.
  test.concurrent.each(cases)('%s: %j', async (_case, broken, wrongs) => {
    const findings = await history.auditAfter(wrongs(history.happened));

    const told = findings.flatMap(({ invariant, examples }) => examples.map((breach) => ({ invariant, ...breach })));
    expect(brokenIn(findings), JSON.stringify(told)).toEqual(broken);
  });
});
