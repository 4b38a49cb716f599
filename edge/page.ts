/** Pages of a list: a cursor is the sort key of the last item, opaque to clients. */
import { malformed, type Problem } from './problem.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The year 0 is one for JavaScript, and none for Postgres. */
const INSTANT = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export function encodeCursor(key: readonly string[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** Whether a text is what a part of a sort key looks like. What no page ever answered must not reach a database, which may choke on it. */
type Part = (text: string) => boolean;

/** No database keeps a NUL. */
export const isText: Part = (text) => !text.includes('\u0000');
export const isUuid: Part = (text) => UUID.test(text);
const isInstant: Part = (text) => INSTANT.test(text) && !Number.isNaN(Date.parse(text));

/** @param parts of the sort key. @throws Problem 400 for what no page ever answered. */
export function decodeCursor(cursor: string | undefined, parts: readonly Part[]): string[] | undefined {
  if (cursor === undefined) return undefined;
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (isKey(key) && key.length === parts.length && parts.every((isPart, index) => isPart(key[index] ?? '')))
      return key;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw unknownCursor();
}

function isKey(key: unknown): key is string[] {
  return Array.isArray(key) && key.every((part) => typeof part === 'string');
}

export function unknownCursor(): Problem {
  return malformed('cursor', 'is not one that a page answered');
}

/** Of a list by instant and id. @throws Problem 400 */
export function decodeInstantCursor(cursor: string | undefined, isId: Part): { at: Date; id: string } | undefined {
  const [at, id] = decodeCursor(cursor, [isInstant, isId]) ?? [];
  return at === undefined || id === undefined ? undefined : { at: new Date(at), id };
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
