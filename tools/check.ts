/** Everything that can be known without running the platform: `npm run check`. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { inheritedEnvironment } from '#lib/config';

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const checkout = join(import.meta.dirname, '..');
const binaries = join(checkout, 'node_modules/.bin');
const inherited = inheritedEnvironment();
const environment = { ...inherited, PATH: [binaries, inherited.PATH].join(delimiter) };

/** Why a check failed, in one sentence that says what to do; `output` is what the tool said. */
class Failure extends Error {
  readonly output: string;
  constructor(message: string, output = '') {
    super(message);
    this.output = output.trim();
  }
}

/** Answers a remark where there is something to know about how it passed. */
type Check = (temporary: string) => Promise<string | undefined>;

const checks: Record<string, Check> = {
  'lockfile in step': async () => lockfileInStep(),
  'generated code': generatedCode,
  'buf lint': () => tool('buf', ['lint'], 'The protos break the lint rules above: mend them.'),
  // proto/grpc are copies of gRPC's own files, and stay as they came.
  'buf format': () =>
    tool(
      'buf',
      ['format', '-d', '--exit-code', '--exclude-path', 'proto/grpc'],
      'Protos are not formatted: run `npx buf format -w --exclude-path proto/grpc`.',
    ),
  'buf breaking': breakingChanges,
  'biome ci': () =>
    tool('biome', ['ci', '--colors=off', '.'], 'Run `npx biome check --write .`, and mend by hand what is left.'),
  tsc: () => tool('tsc', ['-p', '.'], 'The types above do not fit: mend them.'),
};

function lockfileInStep(): undefined {
  const wanted = json('package.json');
  const { packages } = json('package-lock.json');
  const installed = json('node_modules/.package-lock.json').packages;
  for (const kind of ['dependencies', 'devDependencies']) {
    if (JSON.stringify(sorted(wanted[kind])) === JSON.stringify(sorted(packages[''][kind]))) continue;
    throw new Failure(`package-lock.json has other ${kind} than package.json: run \`npm install\` and commit both.`);
  }
  for (const [folder, { version }] of Object.entries<{ version: string }>(installed)) {
    if (packages[folder]?.version === version) continue;
    throw new Failure(`${folder} is ${version}, but package-lock.json says otherwise: run \`npm install\`.`);
  }
}

async function generatedCode(temporary: string): Promise<undefined> {
  await tool('buf', ['generate', '-o', temporary], 'The protos cannot be generated from: mend what is said above.');
  const fresh = filesOf(join(temporary, 'gen'));
  const committed = filesOf(join(checkout, 'gen'));
  const names = [...new Set([...fresh.keys(), ...committed.keys()])];
  const different = names.filter((name) => fresh.get(name) !== committed.get(name));
  if (different.length === 0) return;
  throw new Failure(`Run \`npm run generate\`: ${different.map((name) => `gen/${name}`).join(', ')} is out of date.`);
}

/** Compared with what the others have; without a main that has protos, nothing can break. */
async function breakingChanges(temporary: string): Promise<string | undefined> {
  const main = (await mainCommit('origin/main')) ?? (await mainCommit('main'));
  if (!main) return 'skipped: there is no main to compare with';
  const archive = join(temporary, 'main.tar');
  const before = join(temporary, 'main');
  mkdirSync(before);
  const taken = await run('git', ['archive', '--output', archive, main, 'proto', 'buf.yaml']);
  if (taken.failed) return 'skipped: main has no protos yet';
  await tool('tar', ['-xf', archive, '-C', before], 'What git archived of main cannot be unpacked.');
  await tool(
    'buf',
    ['breaking', '--against', before],
    'A change above breaks clients of main: add a field or a v2 instead.',
  );
  return undefined;
}

async function mainCommit(branch: string): Promise<string | undefined> {
  const { failed, output } = await run('git', ['rev-parse', '--verify', '--quiet', `${branch}^{commit}`]);
  return failed ? undefined : output.trim();
}

async function tool(command: string, options: string[], remedy: string): Promise<undefined> {
  const { failed, output } = await run(command, options);
  if (failed) throw new Failure(remedy, output);
}

function run(command: string, options: string[]): Promise<{ failed: boolean; output: string }> {
  return new Promise((resolve) => {
    const limits = { cwd: checkout, env: environment, maxBuffer: OUTPUT_BYTES_MAX };
    execFile(command, options, limits, (error, stdout, stderr) => {
      const unstarted = error && 'syscall' in error ? `${error.message}\n` : '';
      resolve({ failed: error !== null, output: `${unstarted}${stdout}${stderr}` });
    });
  });
}

function json(file: string) {
  return JSON.parse(readFileSync(join(checkout, file), 'utf8'));
}

function sorted(dependencies: Record<string, string> = {}): [string, string][] {
  return Object.entries(dependencies).sort();
}

/** Content by path. */
function filesOf(folder: string): Map<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]));
}

async function passes(name: string, check: Check): Promise<boolean> {
  const startedAt = performance.now();
  const line = (mark: string) => `${mark} ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`;
  const temporary = mkdtempSync(join(tmpdir(), 'registrar-check-'));
  try {
    const remark = await check(temporary);
    console.log(remark ? `${line('✓')}: ${remark}` : line('✓'));
    return true;
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    if (failure.output) console.error(failure.output);
    console.error(`${line('✗')}: ${failure.message}`);
    return false;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

let failed = 0;
for (const [name, check] of Object.entries(checks)) if (!(await passes(name, check))) failed += 1;
process.exitCode = failed > 0 ? 1 : 0;
