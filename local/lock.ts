import { DatabaseSync } from 'node:sqlite';

export interface Lock {
  /** Once is enough; more does no harm. */
  release(): void;
}

const SQLITE_BUSY = 5;

/**
 * Takes a lock that the kernel gives back when this process dies, however it dies; undefined where another holds it.
 * Node has no flock, but SQLite takes a kernel lock on its file.
 */
export function takeLock(file: string): Lock | undefined {
  const database = new DatabaseSync(file);
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return { release: () => void (database.isOpen && database.close()) };
  } catch (failure) {
    database.close();
    if (failure instanceof Error && 'errcode' in failure && failure.errcode === SQLITE_BUSY) return undefined;
    throw failure;
  }
}
