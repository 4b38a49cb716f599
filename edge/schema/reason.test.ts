import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { reasons } from './reason.ts';

const checkout = join(import.meta.dirname, '../..');
const WORD = "'([a-z]+(?:-[a-z]+)*)'";

function sourcesOf(...folders: string[]): string {
  const files = folders
    .flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: checkout }))
    .filter((file) => !/\btest(ing)?\.ts$/.test(file));
  return files.map((file) => readFileSync(join(checkout, file), 'utf8')).join('\n');
}

function found(source: string, pattern: string): string[] {
  return [...source.matchAll(new RegExp(pattern, 'g'))].map(([, reason = '']) => reason);
}

/** What a saga says of a failure that is no rule's. */
function reasonsOfSagas(): string[] {
  const [body = ''] = /function reasonOf[\s\S]*?\n}/.exec(sourcesOf('workflows')) ?? [];
  return found(body, `return ${WORD}`);
}

test('the description lists every reason that the code can give, and no other', () => {
  const ofRules = found(sourcesOf('services', 'workflows'), `\\b(?:new Refusal|refused)\\(\\s*${WORD}`);
  const ofSagas = reasonsOfSagas();

  expect(ofRules.length).toBeGreaterThan(20);
  expect(ofSagas).toContain('service-unavailable');
  expect([...new Set([...ofRules, ...ofSagas])].sort()).toEqual(Object.keys(reasons).sort());
});
