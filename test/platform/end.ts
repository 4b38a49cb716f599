import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isRunning, type RunningProcess } from '../../local/running-process.ts';
import { expectGapless, expectSound, expectViewsEqual } from './audit.ts';
import { type Campus, campusOn } from './campus.ts';

export function end(running: () => Campus, replace: (next: Campus) => void): void {
  test('at rest everything holds, and the views show what the services know', async () => {
    const campus = running();
    await campus.rest();
    await expectSound(campus);
    await expectGapless(campus);
    await expectViewsEqual(campus);
  });

  test('a stop leaves no process and no open port, and the next start finds every registration', async () => {
    const before = running();
    const { dataFolder } = before.platform.record;
    const student = await before.student();
    const wish = { id: randomUUID(), adds: [await before.section()] };
    expect((await before.http.register(student, wish)).status).toBe(202);
    await before.rest();
    const told = await before.http.read(`/v1/registrations/${wish.id}`, { as: student });
    const processes = processesIn(dataFolder);
    const ports = portsOf(before);
    expect(processes.length).toBeGreaterThan(before.platform.record.parts.length);
    expect(await Promise.all(ports.map(isOpen))).not.toContain(false);

    await before.close();
    await before.platform.stop();

    expect(processes.filter(isRunning)).toEqual([]);
    expect(await Promise.all(ports.map(isOpen))).not.toContain(true);

    const after = await campusOn(dataFolder, 1);
    replace(after);
    expect((await after.http.read(`/v1/registrations/${wish.id}`, { as: student })).body).toEqual(told.body);
    const { answer } = await after.http.insist(student, wish);
    expect(answer).toMatchObject({ status: 200, body: { status: 'completed' } });
    await expectSound(after);
    await expectViewsEqual(after);
  });
}

/** Every process of the platform, as written down in its data folder. */
export function processesIn(dataFolder: string): RunningProcess[] {
  return ['run', 'postgres', 'temporal'].flatMap((name) =>
    readdirSync(join(dataFolder, name))
      .filter((file) => file.endsWith('.pid'))
      .map((file): RunningProcess => JSON.parse(readFileSync(join(dataFolder, name, file), 'utf8'))),
  );
}

/** Every port that the platform has told of. */
export function portsOf({ platform }: Campus): number[] {
  const { parts, primaryUrl, replicaUrls, temporalAddress, temporalUiUrl = [] } = platform.record;
  const urls = [primaryUrl, ...replicaUrls, `tcp://${temporalAddress}`].concat(temporalUiUrl);
  const own = parts.flatMap(({ name, address, metricsUrl }) =>
    name === 'auditor' ? [metricsUrl] : [`tcp://${address}`, metricsUrl],
  );
  return [...urls, ...own].map((url) => Number(new URL(url).port));
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
