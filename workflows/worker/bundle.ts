/** The workflows' bundle: built once per version of their source, because it takes seconds and workers restart in the worst minute. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { WorkflowBundle } from '@temporalio/worker';
import workflowPackage from '@temporalio/workflow/package.json' with { type: 'json' };

const BUNDLE_BYTES_MAX = 64 * 1024 * 1024;
const FOLDER = dirname(fileURLToPath(import.meta.url));
const WORKFLOWS = dirname(FOLDER);

/** @param file where to keep it between starts; built anew each time where absent. */
export async function workflowBundle(file: string | undefined): Promise<WorkflowBundle> {
  if (!file) return build();
  const version = await sourceVersion();
  const kept = await readKept(file);
  if (kept?.version === version) return { code: kept.code };
  const bundle = await build();
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, JSON.stringify({ version, code: bundle.code }));
  // Workers that start together each write a whole file; the last one stays.
  await rename(draft, file);
  return bundle;
}

/** In a process of its own, which takes the bundler's memory with it when it ends. */
async function build(): Promise<WorkflowBundle> {
  const bundler = [join(FOLDER, 'bundler.ts')];
  const { stdout: code } = await promisify(execFile)(process.execPath, bundler, { maxBuffer: BUNDLE_BYTES_MAX });
  return { code };
}

async function sourceVersion(): Promise<string> {
  const hash = createHash('sha256').update(workflowPackage.version);
  const names = (await readdir(WORKFLOWS)).filter((name) => name.endsWith('.ts')).sort();
  for (const name of names) hash.update(name).update(await readFile(join(WORKFLOWS, name)));
  return hash.digest('hex');
}

async function readKept(file: string): Promise<{ version: string; code: string } | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return undefined; // absent or cut short: it is built again
  }
}
