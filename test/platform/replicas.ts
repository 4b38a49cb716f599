import type { Static } from 'typebox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Schedule } from '../../edge/schema/me.ts';
import type { Campus } from './campus.ts';
import { tokenOf } from './http.ts';

const WRITES = 8;

export function replicas(running: () => Campus): void {
  let sections: string[];

  beforeAll(async () => {
    sections = await running().sections(1);
  });
  afterAll(async () => {
    const campus = running();
    const { cluster } = campus;
    cluster.resume('replica-1');
    const away = ['replica-1', 'replica-2'].filter((replica) => cluster.pidOf(replica) === undefined);
    await Promise.all(away.map((replica) => cluster.startMember(replica)));
    await campus.until('all databases are read again', async () =>
      (await campus.servers()).databases.every(({ state }) => state === 'serving'),
    );
  });

  /** Every read after a write shows it, wherever it goes. */
  async function expectReadsShowWrites(): Promise<void> {
    const campus = running();
    for (let n = 0; n < WRITES; n++) {
      const student = await campus.student();
      const { id, answer } = await campus.http.insist(student, { adds: sections });
      const headers = tokenOf(answer);
      const read = await campus.http.read<Static<typeof Schedule>>('/v1/me/schedule', { as: student, headers });
      expect(read.status).toBe(200);
      expect(read.body.items.map(({ registrationId }) => registrationId)).toEqual([id]);
      expect(await campus.http.read(`/v1/sections/${sections[0]}`)).toMatchObject({ status: 200 });
    }
  }

  test('with all replicas well, every read shows the reader’s last write', () => expectReadsShowWrites());

  test('with one replica paused, reads go on, and show the reader’s last write', async () => {
    running().cluster.pause('replica-1');
    await expectReadsShowWrites();
  });

  test('with one paused and one killed, reads go on, and show the reader’s last write', async () => {
    const { cluster } = running();
    cluster.kill('replica-2');
    await cluster.stopMember('replica-2');
    await expectReadsShowWrites();
  });

  test('with both killed, reads go on, and show the reader’s last write', async () => {
    const { cluster } = running();
    cluster.kill('replica-1');
    await cluster.stopMember('replica-1');
    await expectReadsShowWrites();
  });
}
