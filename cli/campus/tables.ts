import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';

/** Reads a tab-separated table beside this file; the first line names the columns. */
export function readTable<Column extends string>(file: string, columns: readonly Column[]): Record<Column, string>[] {
  const rows: string[][] = parse(readFileSync(new URL(file, import.meta.url)), { delimiter: '\t', quote: false });
  const [header, ...body] = rows;
  if (header?.join() !== columns.join()) throw new Error(`${file} must have the columns ${columns.join(', ')}`);
  return body.map(
    (row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])) as Record<Column, string>, // one cell a column: csv-parse refuses other lengths
  );
}
