/** Memory of a process and everything it started, as Linux shares it out (proportional set size). */
import { readFile } from 'node:fs/promises';
import { treeOf } from '../../local/running-process.ts';

/** Bytes; undefined where /proc does not tell. */
export async function memoryOfTree(rootPid: number): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined;
  const sizes = await Promise.all(treeOf(rootPid).map(proportionalBytes));
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** A process that has just ended has no size. */
async function proportionalBytes(pid: number): Promise<number> {
  const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  const kibibytes = /^Pss:\s+(\d+)/m.exec(rollup)?.[1];
  return Number(kibibytes ?? 0) * 1024;
}
