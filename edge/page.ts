/** Pages of a list: a cursor is the sort key of the last item, opaque to clients. */
import { malformed } from './problem.ts';

export const PAGE_DEFAULT = 20;

export function encodeCursor(key: readonly string[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** @param length of the sort key. @throws Problem 400 for what no page ever answered. */
export function decodeCursor(cursor: string | undefined, length: number): string[] | undefined {
  if (cursor === undefined) return undefined;
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(key) && key.length === length && key.every((part) => typeof part === 'string')) return key;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw malformed('cursor', 'is not one that a page answered');
}

/** @param rows one more than `limit`, where there are more. */
export function pageFrom<Row, Item>(
  rows: readonly Row[],
  limit: number,
  { item, key }: { item(row: Row): Item; key(row: Row): readonly string[] },
): { items: Item[]; nextCursor?: string } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined ? { nextCursor: encodeCursor(key(last)) } : {};
  return { items: shown.map(item), ...more };
}
