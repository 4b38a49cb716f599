/** Something that a person can mend: its message is one sentence that says what is wrong and what to do. */
export class PlatformError extends Error {}

const remedies: Record<string, (what: string) => string> = {
  ENOSPC: (what) => `The disk is full (${what}): free some space, then start again.`,
  EDQUOT: (what) => `The disk quota is used up (${what}): free some space, then start again.`,
  EACCES: (what) => `No permission for ${what}: choose another folder with --data, or become its owner.`,
  EPERM: (what) => `No permission for ${what}: choose another folder with --data, or become its owner.`,
  EROFS: (what) => `${what} cannot be written, its file system is read-only: choose another folder with --data.`,
  EMFILE: () => 'Too many open files: raise the limit (ulimit -n 4096), then start again.',
};

/** One sentence for a person, where the failure is one that a person can mend; otherwise undefined. */
export function sentenceFor(failure: unknown): string | undefined {
  if (failure instanceof PlatformError) return failure.message;
  if (!(failure instanceof Error) || !('code' in failure) || typeof failure.code !== 'string') return undefined;
  const path = 'path' in failure && typeof failure.path === 'string' ? failure.path : failure.message;
  return remedies[failure.code]?.(path);
}

/** The same for what a process wrote last before it died. */
export function sentenceForLog(lines: string): string | undefined {
  if (/No space left on device|ENOSPC|disk is full|SQLITE_FULL/i.test(lines))
    return remedies.ENOSPC?.('a process could not write');
  return undefined;
}
