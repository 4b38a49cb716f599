/** Memory of a process and everything it started, as Linux shares it out (proportional set size). */
import { readdir, readFile } from 'node:fs/promises';

/** Bytes; undefined where /proc does not tell. */
export async function memoryOfTree(rootPid: number): Promise<number | undefined> {
  const pids = await tree(rootPid).catch(() => []);
  const sizes = await Promise.all(pids.map(proportionalBytes));
  return sizes.length > 0 ? sizes.reduce((sum, bytes) => sum + bytes, 0) : undefined;
}

async function tree(rootPid: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const name of await readdir('/proc')) {
    const parent = /^\d+$/.test(name) ? await parentOf(name) : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [rootPid];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Field 4 of stat; the command before it may hold spaces and parentheses. */
async function parentOf(pid: string): Promise<number | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent ? Number(parent) : undefined;
}

/** A process that has just ended has no size. */
async function proportionalBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const kibibytes = /^Pss:\s+(\d+)/m.exec(rollup)?.[1];
  return Number(kibibytes ?? 0) * 1024;
}
