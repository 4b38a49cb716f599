/** For tests: a campus on which everything has happened once, at rest, and copies of its databases to break. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { addressVariable, type PeerName, peers, type ServiceName, services } from '#lib/config';
import { eventually, type ServiceUnderTest, startForTest } from '#lib/testing';
import { BookstoreService } from '#proto/bookstore/v1/service';
import { Materials, Mode } from '#proto/enrollment/v1/registration';
import { type Campus, startCampus, startProvider } from '../../test/campus.ts';
import { Gates } from '../../test/gates.ts';
import { projector } from '../../views/projector.ts';
import { audit } from './audit.ts';
import type { Finding } from './finding.ts';
import type { DatabaseName } from './platform.ts';

/** Where the databases of a campus are. */
export function databaseUrlsOf({ services: running }: Campus): Record<DatabaseName, string | undefined> {
  const urlOf = (peer: PeerName) => running[peer]?.parts.config.databaseUrl;
  const own = Object.fromEntries(services.map((name) => [name, urlOf(name)])) as Record<
    ServiceName,
    string | undefined
  >; // one entry a service
  return { ...own, views: urlOf('projector'), workflows: urlOf('starter') };
}

/** Ids of registrations by what became of them. */
export interface Happened {
  enrolled: string;
  declined: string;
  outOfStock: string;
  cancelled: string;
  dropped: string;
  drop: string;
  /** A drop of a section whose book was fetched. */
  keeping: string;
  waiting: string;
  refused: string;
}

async function letEverythingHappen(campus: Campus, gates: Gates): Promise<Happened> {
  const [book, rareBook] = [await campus.material(), await campus.material({ stock: 0 })];
  const sections = [await campus.section({ materials: [book] }), await campus.section()];
  const small = await campus.section({ capacity: 1 });
  const withRareBook = await campus.section({ materials: [rareBook] });

  const enrolled = await campus.register('anna', sections, { buy: true });
  const declined = await campus.register('ben', sections, { card: 'tok_declined' });
  const outOfStock = await campus.register('carla', [withRareBook], { buy: true });
  const cancelledId = randomUUID();
  const charging = gates.before(cancelledId, 'chargeTuition');
  const cancelled = await campus.register('emil', sections, { id: cancelledId, card: 'tok_slow' });
  await campus.asStudent('emil', (client) => client.cancelRegistration({ registrationId: cancelled.id }));
  charging.open();
  const dropped = await campus.register('finn', [...sections, small], { buy: true });
  const waiting = await wait(campus, 'hana', small);
  await wait(campus, 'kim', small);
  await wait(campus, 'lena', small);
  await campus.asStudent('lena', (client) => client.leaveWaitlist({ studentId: 'lena', sectionId: small }));
  const refused = await campus.register('jo', [small]);
  for (const { id } of [enrolled, declined, outOfStock, cancelled, dropped]) await campus.settled(id);
  const drop = await campus.register('finn', [], { drops: sections });
  await campus.settled(drop.id);
  const issued = await campus.register('mia', sections, { buy: true });
  await campus.settled(issued.id);
  const known = 'select from reservations where registration_id = $1 and completed';
  await eventually(async () => (await campus.rows('bookstore', known, [issued.id])).length > 0);
  await campus.clients.of(BookstoreService, 'bookstore').issueMaterials({ registrationId: issued.id });
  const keeping = await campus.register('mia', [], { drops: sections.slice(0, 1) });
  await campus.settled(keeping.id);

  const registrations = { enrolled, declined, outOfStock, cancelled, dropped, drop, keeping, refused };
  const ids = Object.entries(registrations).map(([what, { id }]) => [what, id]);
  return { ...Object.fromEntries(ids), waiting };
}

async function wait(campus: Campus, studentId: string, sectionId: string): Promise<string> {
  const registrationId = randomUUID();
  const adds = [{ sectionId, orWaitlist: true }];
  const request = { registrationId, studentId, adds, mode: Mode.EACH, materials: Materials.NONE };
  await campus.asStudent(studentId, (client) => client.register(request));
  return registrationId;
}

/** What went wrong in a copy: SQL by database. */
export type Wrongs = Partial<Record<DatabaseName | 'provider', string>>;

export interface History {
  happened: Happened;
  urls: Record<DatabaseName, string | undefined>;
  providerUrl: string;
  /** Where the databases are once something was done to copies of them by hand. */
  urlsAfter(wrongs: Omit<Wrongs, 'provider'>): Promise<History['urls']>;
  /** Audits copies of the databases in which something was done by hand. */
  auditAfter(wrongs: Wrongs): Promise<Finding[]>;
  stop(): Promise<void>;
}

/** The services have ended when this answers, so that nobody but a test changes the databases. */
export async function makeHistory(): Promise<History> {
  const gates = new Gates();
  const campus = await startCampus({ activities: (real) => gates.around(real) });
  const addresses = peers.map((peer) => [addressVariable(peer), campus.addresses[peer]?.join() ?? '']);
  const projecting = await startForTest(projector, Object.fromEntries(addresses));
  const originals = { ...databaseUrlsOf(campus), views: projecting.parts.config.databaseUrl };
  const happened = await letEverythingHappen(campus, gates);
  await untilAllRead(campus, projecting);
  await projecting.stop();
  await campus.stop();
  const stops: (() => Promise<unknown>)[] = [];
  // Copies can be made of a database only while nobody is connected to it: so what is looked at are copies, too.
  const urls = await copiesOf(originals);
  const startProviderOn = async (sql: string) =>
    startProvider(await changedCopy(campus.providerDatabaseUrl, sql), stops);
  const providerUrl = await startProviderOn('select');
  async function urlsAfter(wrongs: Omit<Wrongs, 'provider'>): Promise<History['urls']> {
    const changed = { ...urls };
    for (const name of Object.keys(wrongs) as DatabaseName[]) // its keys, by its type
      changed[name] = await changedCopy(originals[name], wrongs[name] ?? '');
    return changed;
  }

  return {
    happened,
    urls,
    providerUrl,
    urlsAfter,
    async auditAfter({ provider, ...wrongs }) {
      const changed = await urlsAfter(wrongs);
      const url = provider ? await startProviderOn(provider) : providerUrl;
      return audit({ databaseUrl: (name) => changed[name], providerUrl: url, settledSeconds: 0 });
    },
    stop: async () => {
      for (const stop of stops.toReversed()) await stop();
    },
  };
}

/** A follower that stops short of a log's end would hide that it was moved. */
async function untilAllRead(campus: Campus, follower: ServiceUnderTest): Promise<void> {
  for (const source of services) {
    await eventually(
      async () => {
        const [head] = await campus.rows<{ position: string }>(source, 'select position from event_head');
        const read = await follower.parts.database.query<{ position: string }>(
          'select position from checkpoints where source = $1',
          [source],
        );
        return head !== undefined && read[0]?.position === head.position;
      },
      { what: `the log of ${source} having been read` },
    );
  }
}

async function copiesOf(originals: History['urls']): Promise<History['urls']> {
  const copies = { ...originals };
  for (const name of Object.keys(originals) as DatabaseName[]) // its keys, by its type
    copies[name] = await changedCopy(originals[name], 'select');
  return copies;
}

async function changedCopy(url: string | undefined, sql: string): Promise<string> {
  if (!url) throw new Error('there is no such database');
  const copy = new URL(url);
  const name = copy.pathname.slice(1);
  copy.pathname = `/copy_${randomUUID().replaceAll('-', '')}`;
  await run(inject('primaryUrl'), `create database ${copy.pathname.slice(1)} template ${name}`);
  await run(copy.href, sql);
  return copy.href;
}

async function run(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
