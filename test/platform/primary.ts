import { expect, test } from 'vitest';
import { expectGapless } from './audit.ts';
import type { Campus } from './campus.ts';
import { dishonest, keepRegistering, missing } from './stream.ts';

const AFTERMATH = 6;

export function primary(running: () => Campus): void {
  test('a primary that is killed comes back, and nothing that was answered is lost', async () => {
    const campus = running();
    const { cluster } = campus.platform;
    const load = keepRegistering(campus, await campus.sections(2));
    await campus.until('the load is on', () => load.decided.length >= AFTERMATH);
    const pid = cluster.pidOf('primary');

    cluster.kill('primary');
    await campus.until('another primary runs', () => ![undefined, pid].includes(cluster.pidOf('primary')));
    await cluster.untilReady('primary');
    const before = load.decided.length;
    await campus.until('registering goes on', () => load.decided.length >= before + AFTERMATH);
    const decided = await load.stop();

    expect(dishonest(decided)).toEqual([]);
    expect(await missing(campus, decided)).toEqual([]);
    await campus.rest();
    await expectGapless(campus);
  });
}
