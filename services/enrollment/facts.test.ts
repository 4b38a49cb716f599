import { afterAll, beforeAll, expect, test } from 'vitest';
import { Campus } from './campus.testing.ts';
import { FactsCache, type FactsKey } from './facts.ts';

let campus: Campus;

beforeAll(async () => {
  campus = await Campus.open();
});
afterAll(() => campus.close());

function keysOf(ids: string[]): Promise<FactsKey[]> {
  return campus.query<FactsKey>('select id, version from section_facts where id = any($1) order by id', [ids]);
}

test('every section asked for is answered, also when the cache forgets meanwhile', async () => {
  const keys = await keysOf(await campus.sections(3));
  const cache = new FactsCache(2);
  await cache.of(campus.query, keys.slice(0, 1));

  const facts = await cache.of(campus.query, keys);

  expect([...facts.keys()].sort()).toEqual(keys.map(({ id }) => id).sort());
  for (const [id, own] of facts) expect(own.id).toBe(id);
});

test('what the catalog has changed is read anew, and the rest is not', async () => {
  const [changed = '', same = ''] = await campus.sections(2);
  const cache = new FactsCache();
  const before = await cache.of(campus.query, await keysOf([changed, same]));
  await campus.section({ id: changed, capacity: 7 });

  const after = await cache.of(campus.query, await keysOf([changed, same]));

  expect([before.get(changed)?.capacity, after.get(changed)?.capacity]).toEqual([1, 7]);
  expect(after.get(same)).toBe(before.get(same));
});
