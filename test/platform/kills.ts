import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ProcessName } from '#lib/config';
import { processNames } from '../../local/part.ts';
import { expectSound } from './audit.ts';
import type { Campus } from './campus.ts';
import { type Decided, outcomesOf } from './http.ts';
import { DENSE, dishonest, keepRegistering, missing } from './stream.ts';

const CROWD = 300;
/** Enough decisions after an event to be sure that it was survived. */
const AFTERMATH = 6;
/** Everything that takes part in a registration or in showing it. */
const killable = processNames.filter((name) => name !== 'edge' && name !== 'auditor');

export function kills(running: () => Campus): void {
  test('an instance that is told to end under load drains, leaves the list, and fails no request', async () => {
    const campus = running();
    const leaving = campus.platform.part('enrollment', 2);
    const address = addressOf(campus, 'enrollment', 2) ?? '';
    // While enrollment is too busy to tell, the list shows where it would be called.
    const instances = () =>
      campus.until('enrollment tells of its instances', async () => {
        const told = (await campus.servers()).servers.filter(({ service }) => service === 'enrollment');
        return told.every(({ state }) => state !== 'unreachable') && told.map((one) => one.address);
      });
    const load = keepRegistering(campus, await campus.sections(1, { capacity: 0 }), DENSE);
    await campus.until('the load is on', () => load.decided.length >= DENSE.lanes);
    expect(await instances()).toContain(address);

    await leaving.stop();

    expect(await instances()).not.toContain(address);
    const before = load.decided.length;
    await campus.until('the other instance decides', () => load.decided.length >= before + DENSE.lanes);
    const decided = await load.stop();
    const log = readFileSync(join(campus.platform.record.logFolder, 'enrollment-2.log'), 'utf8');
    expect(JSON.parse(log.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ msg: 'ended' });
    expect(decided.flatMap(({ answers }) => answers.map(({ status }) => status))).toEqual(decided.map(() => 200));
    expect(new Set(decided.flatMap(({ answer }) => outcomesOf(answer)))).toEqual(new Set(['section-full']));
    await leaving.start();
    await campus.until('it is back on the list', async () => (await instances()).includes(address));
  });

  test('an instance that is killed with 300 registrations in flight costs no student a seat or an answer', async () => {
    const campus = running();
    const sections = await campus.sections(2);
    const students = await campus.students(CROWD);
    const victim = campus.platform.part('enrollment', 2);
    const pid = victim.pid();
    let answered = 0;

    const decided = await Promise.all(
      students.map(async (student) => {
        const decided = await campus.http.insist(student, { adds: sections });
        if (++answered === CROWD / 4) victim.signal('SIGKILL');
        return decided;
      }),
    );

    expect(dishonest(decided)).toEqual([]);
    for (const { answer } of decided) expect(outcomesOf(answer)).toEqual(['reserved', 'reserved']);
    expect(await missing(campus, decided)).toEqual([]);
    const [taken] = await campus.rows('enrollment', 'select distinct taken from sections where id = any($1)', [
      sections,
    ]);
    expect(taken).toEqual({ taken: CROWD });
    await campus.until('another one runs in its place', () => isAnother(victim.pid(), pid));
    await victim.untilReady();
    await campus.rest();
    await expectEnded(campus, decided);
    await expectSound(campus);
  });

  test('whatever process is killed while students register, it comes back and every registration ends', async () => {
    const campus = running();
    const load = keepRegistering(campus, await campus.sections(2));

    for (const name of killable) {
      const keeper = campus.platform.part(name);
      const pid = keeper.pid();
      keeper.signal('SIGKILL');
      await campus.until(`${name} runs again`, () => isAnother(keeper.pid(), pid));
      await keeper.untilReady();
      const before = load.decided.length;
      await campus.until(`registering goes on after ${name}`, () => load.decided.length > before);
      await expectShown(campus, load.decided.at(-1));
    }
    const decided = await load.stop();

    expect(dishonest(decided)).toEqual([]);
    expect(await missing(campus, decided)).toEqual([]);
    await campus.rest();
    await expectEnded(campus, decided);
    await expectSound(campus);
  });

  test('an edge that is killed comes back, and a repeated request is answered as if nothing had happened', async () => {
    const campus = running();
    const load = keepRegistering(campus, await campus.sections(2));
    const edge = campus.platform.part('edge');
    const pid = edge.pid();
    await campus.until('the load is on', () => load.decided.length >= AFTERMATH);

    edge.signal('SIGKILL');
    await campus.until('another edge runs', () => isAnother(edge.pid(), pid));
    await edge.untilReady();
    const before = load.decided.length;
    await campus.until('registering goes on', () => load.decided.length >= before + AFTERMATH);
    const decided = await load.stop();

    expect(dishonest(decided).filter(({ status }) => status !== 0)).toEqual([]);
    expect(await missing(campus, decided)).toEqual([]);
    await campus.rest();
    await expectEnded(campus, decided);
  });
}

function isAnother(pid: number | undefined, before: number | undefined): boolean {
  return pid !== undefined && pid !== before;
}

function addressOf({ platform }: Campus, name: ProcessName, number: number): string | undefined {
  return platform.record.parts.find((part) => part.name === name && part.number === number)?.address;
}

/** The views show what was decided, however late. */
async function expectShown(campus: Campus, decided: Decided | undefined): Promise<void> {
  if (!decided) throw new Error('nothing was decided');
  const { id, student } = decided;
  await campus.until(`${id} is shown`, async () => {
    const { status, body } = await campus.http.read<{ items: unknown[] }>('/v1/registrations', { as: student });
    return status === 200 && body.items.length > 0;
  });
}

/** All done or all undone, as the card decided. */
async function expectEnded(campus: Campus, decided: Decided[]): Promise<void> {
  const rows = await campus.rows<{ id: string; status: string }>(
    'enrollment',
    'select id, status from registrations where id = any($1)',
    [decided.map(({ id }) => id)],
  );
  const expected = decided.map(({ id, card }) => [id, card === 'tok_declined' ? 'undone' : 'completed'] as const);
  expect(new Map(rows.map(({ id, status }) => [id, status]))).toEqual(new Map(expected));
}
