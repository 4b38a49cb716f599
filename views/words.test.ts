import { expect, test } from 'vitest';
import { searchQuery, searchVector, sortKey, wordsOf } from './words.ts';

test('words are lower-case letters and digits without accents', () => {
  expect(wordsOf("Álgebra II: l'été (MATH 20B)")).toEqual(['algebra', 'ii', 'l', 'ete', 'math', '20b']);
});

test('a code is found with and without its space', () => {
  const vector = searchVector({ prose: ['Design of Algorithms'], codes: ['CSE 101'], ids: ['T1-7'] });
  expect(vector).toBe("'design' 'of' 'algorithms' 'cse' '101' 'cse101' '#t1' '#7'");
});

test('a query wants every word, each of which may go on or be a whole word of an id', () => {
  expect(searchQuery('cse  algo')).toBe("('cse':* | '#cse') & ('algo':* | '#algo')");
});

test.each(['', ' ', '!!', "'"])('%j has no words to search for', (typed) => {
  expect(searchQuery(typed)).toBeUndefined();
});

test('characters that mean something to the database do not reach it', () => {
  expect(searchQuery("a' | !b & (c:*) \\ <->")).toBe("('a':* | '#a') & ('b':* | '#b') & ('c':* | '#c')");
});

test('codes sort by their numbers', () => {
  const codes = ['CSE 101', 'CSE 8A', 'CSE 8B', 'BILD 1'];
  expect(codes.toSorted((a, b) => (sortKey(a, 'id') < sortKey(b, 'id') ? -1 : 1))).toEqual([
    'BILD 1',
    'CSE 8A',
    'CSE 8B',
    'CSE 101',
  ]);
});

test.each([
  ['MATH-1', 'MATH-01'],
  ['MATH-1', 'MATH-000001'],
])('courses %s and %s of the same code have keys of their own', (one, other) => {
  expect(sortKey('MATH 1', one)).not.toBe(sortKey('MATH 1', other));
});
