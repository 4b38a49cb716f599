/** Enum values as the words that people and databases see: OUTCOME_ENROLLED ↔ "enrolled", MODE_ALL_OR_NOTHING ↔ "all-or-nothing". */
import type { DescEnum } from '@bufbuild/protobuf';

interface Words {
  byNumber: Map<number, string>;
  byWord: Map<string, number>;
}

const cache = new Map<DescEnum, Words>();

function wordsOf(schema: DescEnum): Words {
  const known = cache.get(schema);
  if (known) return known;
  const pairs = schema.values.map(
    ({ number, localName }) => [number, localName.toLowerCase().replaceAll('_', '-')] as const,
  );
  const words = { byNumber: new Map(pairs), byWord: new Map(pairs.map(([number, word]) => [word, number])) };
  cache.set(schema, words);
  return words;
}

/** @throws RangeError for a number the enum does not have. */
export function wordOf(schema: DescEnum, number: number): string {
  const word = wordsOf(schema).byNumber.get(number);
  if (word === undefined) throw new RangeError(`${schema.typeName} has no value ${number}`);
  return word;
}

/** @throws RangeError for a word the enum does not have. */
export function fromWord<E extends number>(schema: DescEnum, word: string): E {
  const number = wordsOf(schema).byWord.get(word);
  if (number === undefined) throw new RangeError(`${schema.typeName} has no value "${word}"`);
  return number as E; // the schema is that enum's
}
