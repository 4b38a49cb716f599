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

/** Texts as the literal of a tsvector. Codes are also found when typed without their space: "CSE 101" as "cse101". */
export function searchVector(texts: readonly string[], codes: readonly string[]): string {
  const words = [...texts, ...codes].flatMap(wordsOf);
  const joined = codes.map((code) => wordsOf(code).join(''));
  return [...new Set([...words, ...joined])].filter(Boolean).join(' ');
}

/** What somebody typed, as the literal of a tsquery for all its words or their beginnings; undefined without words. */
export function searchQuery(typed: string): string | undefined {
  const words = wordsOf(typed).slice(0, QUERY_WORDS_MAX);
  return words.length > 0 ? words.map((word) => `${word}:*`).join(' & ') : undefined;
}

/** Sorts codes as people expect: "CSE 8A" before "CSE 101". */
export function sortKey(...parts: string[]): string {
  return parts.map((part) => part.replace(/\d+/g, (digits) => digits.padStart(6, '0'))).join(' ');
}
