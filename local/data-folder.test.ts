import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeDataFolder } from './data-folder.ts';

let parent: string;
let path: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'registrar-data-'));
  path = join(parent, 'data');
});

afterEach(() => rmSync(parent, { recursive: true }));

test('a folder is taken by one platform at a time', async () => {
  const first = await takeDataFolder(path);

  await expect(takeDataFolder(path)).rejects.toThrow(/^A platform already runs on .*: stop it, or choose another/);

  first.release();
  (await takeDataFolder(path)).release();
});

test('a fresh start empties the folder, but not while a platform runs on it', async () => {
  const first = await takeDataFolder(path);
  writeFileSync(join(path, 'precious'), '');
  await expect(takeDataFolder(path, { fresh: true })).rejects.toThrow(/already runs/);
  expect(existsSync(join(path, 'precious'))).toBe(true);
  first.release();

  (await takeDataFolder(path)).release();
  expect(existsSync(join(path, 'precious'))).toBe(true);
  (await takeDataFolder(path, { fresh: true })).release();
  expect(readdirSync(path).sort()).toEqual(['lock', 'registrar.json', 'run']);
});

test('a folder with something else in it is never touched', async () => {
  writeFileSync(join(parent, 'thesis.txt'), 'years of work');

  await expect(takeDataFolder(parent, { fresh: true })).rejects.toThrow(/holds something else than a platform/);

  expect(readdirSync(parent)).toEqual(['thesis.txt']);
});

test('a folder of another version is refused, until it is begun anew', async () => {
  (await takeDataFolder(path)).release();
  writeFileSync(join(path, 'registrar.json'), '{"layout": 99}');

  await expect(takeDataFolder(path)).rejects.toThrow(/another version of Registrar \(layout 99, .*--fresh/);

  (await takeDataFolder(path, { fresh: true })).release();
});
