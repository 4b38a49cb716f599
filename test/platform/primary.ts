import { expect, test } from 'vitest';
import { expectGapless } from './audit.ts';
import type { Campus } from './campus.ts';
import { DENSE, dishonest, keepRegistering, missing } from './stream.ts';

const AFTERMATH = 6;
const BURST = 100;

export function primary(running: () => Campus): void {
  test('a primary that is killed comes back, and nothing that was answered is lost', async () => {
    const campus = running();
    const { cluster } = campus;
    const [full, ...sections] = [await campus.section({ capacity: 0 }), ...(await campus.sections(2))];
    const load = keepRegistering(campus, sections);
    const burst = keepRegistering(campus, [full], DENSE);
    await campus.until('the load is on', () => load.decided.length >= AFTERMATH && burst.decided.length >= BURST);
    const pid = cluster.pidOf('primary');

    cluster.kill('primary');
    await campus.until('another primary runs', () => ![undefined, pid].includes(cluster.pidOf('primary')));
    await cluster.untilReady('primary');
    const told = await burst.stop();
    const before = load.decided.length;
    await campus.until('registering goes on', () => load.decided.length >= before + AFTERMATH);
    const decided = [...(await load.stop()), ...told];

    expect(dishonest(decided)).toEqual([]);
    expect(await missing(campus, decided)).toEqual([]);
    await campus.rest();
    await expectGapless(campus);
  });
}
