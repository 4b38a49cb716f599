/** Search by words: how texts become search vectors, and what people type becomes a query over them. */

/** More words than this narrow nothing down. */
const QUERY_WORDS_MAX = 12;

/** Lower-case words of letters and digits, without accents: "Álgebra II (MATH 20B)" → algebra, ii, math, 20b. */
export function wordsOf(text: string): string[] {
  return text
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean);
}

interface Texts {
  prose: readonly string[];
  /** Also found when typed without their space: "CSE 101" as "cse101". */
  codes: readonly string[];
  /** Found by whole words only: the class number 101337 is not what "CSE 101" means. */
  ids?: readonly string[];
}

/** Texts as the literal of a tsvector. */
export function searchVector({ prose, codes, ids = [] }: Texts): string {
  const words = [...prose, ...codes].flatMap(wordsOf);
  const joined = codes.map((code) => wordsOf(code).join(''));
  const whole = ids.flatMap(wordsOf).map((word) => `#${word}`);
  return [...new Set([...words, ...joined, ...whole])]
    .filter(Boolean)
    .map((word) => `'${word}'`)
    .join(' ');
}

/** What somebody typed, as the literal of a tsquery for all its words or their beginnings; undefined without words. */
export function searchQuery(typed: string): string | undefined {
  const words = wordsOf(typed).slice(0, QUERY_WORDS_MAX);
  return words.length > 0 ? words.map((word) => `('${word}':* | '#${word}')`).join(' & ') : undefined;
}

/** Sorts codes as people expect: "CSE 8A" before "CSE 101". No two ids share a key: ids have no spaces. */
export function sortKey(code: string, id: string): string {
  return `${code.replace(/\d+/g, (digits) => digits.padStart(6, '0'))} ${id}`;
}
