import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { treeOf } from '../../local/running-process.ts';
import type { Campus } from './campus.ts';
import { portsOf, processesIn } from './end.ts';

/** As the kernel writes 127.0.0.0/8, ::1, and the first within IPv6: bytes in the order of this machine. */
const LOOPBACK = [/^[0-9A-F]{6}7F$/, /^0{24}01000000$/, /^0{16}FFFF0000[0-9A-F]{6}7F$/];
const LISTENS = '0A';

interface Listener {
  /** As in /proc/net/tcp. */
  host: string;
  port: number;
}

export function loopback(running: () => Campus): void {
  test.skipIf(process.platform !== 'linux')('nothing that runs here can be reached from outside', () => {
    const campus = running();
    const pids = processesIn(campus.platform.record.dataFolder).flatMap(({ pid }) => treeOf(pid));

    const listeners = listenersOf(pids);

    expect(listeners.map(({ port }) => port)).toEqual(expect.arrayContaining(portsOf(campus)));
    expect(listeners.filter(isOutside)).toEqual([]);
  });

  test.skipIf(process.platform !== 'linux').each(['0.0.0.0', '::'])(
    'what listens on %s would be found',
    async (host) => {
      const server = createServer().listen(0, host);
      onTestFinished(() => void server.close());
      await once(server, 'listening');

      expect(listenersOf([process.pid]).filter(isOutside)).toHaveLength(1);
    },
  );
}

function isOutside({ host }: Listener): boolean {
  return !LOOPBACK.some((pattern) => pattern.test(host));
}

function listenersOf(pids: number[]): Listener[] {
  const inodes = new Set(pids.flatMap(socketsOf));
  return ['tcp', 'tcp6'].flatMap((protocol) =>
    readFileSync(`/proc/net/${protocol}`, 'utf8')
      .split('\n')
      .slice(1, -1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === LISTENS && inodes.has(inode ?? ''))
      .map(([, address = '']) => address.split(':'))
      .map(([host = '', port = '']) => ({ host, port: Number.parseInt(port, 16) })),
  );
}

/** The inodes of a process's sockets. */
function socketsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  const files = orNothing(() => readdirSync(folder)) ?? [];
  return files.flatMap(
    (fd) => /^socket:\[(\d+)\]$/.exec(orNothing(() => readlinkSync(`${folder}/${fd}`)) ?? '')?.[1] ?? [],
  );
}

/** Processes end meanwhile, and files are closed. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
