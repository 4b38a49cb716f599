import { createReadStream } from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream';
import { CsvError, type Info, parse } from 'csv-parse';
import { type Fault, NoSchedule } from './fault.ts';

const LINE_CHARACTERS_MAX = 65_536;
const ROWS_MAX = 200_000;
const UNREADABLE = '\uFFFD';

export interface Row {
  line: number;
  /** By column; a column that the file does not have is empty. */
  cells: Record<string, string>;
}

/**
 * Streams the rows of a tab-separated file whose first line names its columns; quotes mean themselves.
 * @throws NoSchedule where the file or one of the required columns is missing.
 */
export async function* readRows(path: string, required: readonly string[]): AsyncGenerator<Row | Fault> {
  const file = basename(path);
  let line = 1;
  let columns: string[] | undefined;
  try {
    for await (const { record, info } of records(path)) {
      line = info.lines;
      if (!columns) columns = columnsOf(file, record, required);
      else if (info.records > ROWS_MAX + 1) throw new RangeError(`only the first ${ROWS_MAX} rows are read`);
      else yield rowOf(record, columns, { file, line });
    }
  } catch (failure) {
    if (failure instanceof CsvError || failure instanceof RangeError) {
      yield { file, line: line + 1, reason: `${failure.message}; nothing from here on was read` };
      return;
    }
    if (isMissing(failure)) throw new NoSchedule(`${path} is missing`);
    throw failure;
  }
  if (!columns) throw new NoSchedule(`${file} is empty`);
}

function records(path: string): AsyncIterable<{ record: string[]; info: Info }> {
  const parser = parse({
    bom: true,
    delimiter: '\t',
    quote: false,
    record_delimiter: ['\r\n', '\n'],
    relax_column_count: true,
    skip_empty_lines: true,
    info: true,
    max_record_size: LINE_CHARACTERS_MAX,
  });
  // A failed read ends the parser with the same failure, which the loop over it throws.
  return pipeline(createReadStream(path), parser, () => undefined);
}

function columnsOf(file: string, header: string[], required: readonly string[]): string[] {
  const columns = header.map((name) => name.trim());
  const missing = required.filter((name) => !columns.includes(name));
  if (missing.length > 0) throw new NoSchedule(`${file} lacks the column ${missing.join(', ')}`);
  return columns;
}

function rowOf(record: string[], columns: string[], { file, line }: { file: string; line: number }): Row | Fault {
  if (record.length !== columns.length) {
    return { file, line, reason: `${record.length} columns instead of ${columns.length}` };
  }
  if (record.some((cell) => cell.includes(UNREADABLE))) return { file, line, reason: 'characters that are not UTF-8' };
  return { line, cells: Object.fromEntries(columns.map((name, index) => [name, record[index]?.trim() ?? ''])) };
}

function isMissing(failure: unknown): boolean {
  return failure instanceof Error && 'code' in failure && failure.code === 'ENOENT';
}
