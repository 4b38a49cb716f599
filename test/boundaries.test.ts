/** What a line may touch: every rule of biome.json that keeps a boundary, shown to refuse and to allow. */
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const checkout = join(import.meta.dirname, '..');
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

interface Row {
  file: string;
  may: string[];
  never: string[];
}

const imports: Row[] = [
  {
    file: 'lib/probe.ts',
    may: ['pg', './config.ts', '#proto/eventlog/v1/service', '#proto/keys/v1/service', '../gen/grpc/health_pb.ts'],
    never: [
      '#proto/billing/v1/service',
      '#views/section',
      '../services/billing/ledger.ts',
      '../gen/registrar/billing/v1/service_pb.ts',
    ],
  },
  {
    file: 'services/billing/probe.ts',
    may: ['pg', './ledger.ts', './migrations/all.ts', '#lib/service', '#proto/catalog/v1/events'],
    never: [
      '../catalog/section.ts',
      '../../edge/app.ts',
      '../../workflows/enroll.ts',
      '#views/section',
      '@temporalio/client',
    ],
  },
  { file: 'services/billing/probe.test.ts', may: ['../../local/provider/app.ts'], never: [] },
  { file: 'services/billing/testing.ts', may: ['../../local/provider/app.ts'], never: [] },
  {
    file: 'workflows/probe.ts',
    may: ['@temporalio/workflow', '@temporalio/common', './saga.ts', './steps.ts'],
    never: [
      'node:crypto',
      'pg',
      '@temporalio/client',
      '@temporalio/worker',
      '#lib/clients',
      '#proto/billing/v1/service',
      './worker/activities.ts',
      './worker/bundle.ts',
      './starter/starter.ts',
      '../lib/clients.ts',
    ],
  },
  {
    file: 'workflows/worker/probe.ts',
    may: ['@temporalio/activity', '#lib/clients', '#proto/billing/v1/service'],
    never: [
      'pg',
      'kysely',
      '@mikro-orm/postgresql',
      '#lib/database',
      '#views/section',
      '../../services/billing/ledger.ts',
    ],
  },
  {
    file: 'views/probe.ts',
    may: [
      'pg',
      '@mikro-orm/postgresql',
      './facts.ts',
      '#lib/follower',
      '#proto/billing/v1/events',
      '#proto/eventlog/v1/service',
    ],
    never: [
      '#proto/billing/v1/service',
      '../services/billing/ledger.ts',
      '../edge/app.ts',
      '@temporalio/client',
      'fastify',
    ],
  },
  {
    file: 'edge/routes/probe.ts',
    may: ['fastify', '../ask.ts', '#lib/clients', '#proto/billing/v1/service', '#views/section', '@temporalio/client'],
    never: [
      '#views/projector',
      '#views/all',
      '../../services/billing/ledger.ts',
      '../../views/projector.ts',
      '../../workflows/enroll.ts',
      '@temporalio/worker',
    ],
  },
  {
    file: 'web/src/probe.ts',
    may: ['react', './app.ts', '../api.ts'],
    never: [
      'node:fs',
      '#lib/clients',
      '#proto/billing/v1/service',
      '#views/section',
      '../../edge/app.ts',
      '../../lib/words.ts',
    ],
  },
];

/** One line each, and who else may write it. */
const habits = [
  { rule: 'noProcessEnv', line: 'export const home = process.env.HOME;', allowedIn: 'lib/config.ts' },
  { rule: 'noConsole', line: "console.log('here');", allowedIn: 'cli/probe.ts' },
  { rule: 'noDefaultExport', line: 'export default 1;', allowedIn: 'probe.config.ts' },
  { rule: 'noExplicitAny', line: 'export const loose: any = 1;' },
  { rule: 'noFloatingPromises', line: 'Promise.all([]);' },
];
const longBody = `export function long() {\n${'  Math.random();\n'.repeat(61)}}`;

interface Diagnostic {
  category: string;
  location: { path: string; start: { line: number } };
}

let folder: string;
let diagnostics: Diagnostic[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'registrar-boundaries-'));
  cpSync(join(checkout, 'biome.json'), join(folder, 'biome.json'));
  write('.gitignore', []);
  for (const { file, never, may } of imports) {
    write(
      file,
      [...never, ...may].map((name, number) => `export { one as one${number} } from '${name}';`),
    );
  }
  write('workflows/typed.ts', ["export type { Activities } from './worker/activities.ts';"]);
  for (const { rule, line, allowedIn } of habits) {
    write(`local/${kebab(rule)}.ts`, [line]);
    if (allowedIn) write(allowedIn, [line]);
  }
  write('local/long-function.ts', [longBody]);
  write(
    'local/long-file.ts',
    [...Array(301).keys()].map((number) => `export const line${number} = ${number};`),
  );
  write('local/camelCase.ts', ['export const name = 1;']);
  diagnostics = await lint();
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(imports)('$file imports what its row of the table says', ({ file, never }) => {
  expect(linesOf(file, 'noRestrictedImports')).toEqual(never.map((_, index) => index + 1));
});

test('a workflow names its activities by their type', () => {
  expect(linesOf('workflows/typed.ts', 'noRestrictedImports')).toEqual([]);
});

test.each(habits)('$rule is kept', ({ rule, allowedIn }) => {
  expect(linesOf(`local/${kebab(rule)}.ts`, rule)).toEqual([1]);
  if (allowedIn) expect(linesOf(allowedIn, rule)).toEqual([]);
});

test('functions and files end, and files are named in kebab-case', () => {
  expect(linesOf('local/long-function.ts', 'noExcessiveLinesPerFunction')).toHaveLength(1);
  expect(linesOf('local/long-file.ts', 'noExcessiveLinesPerFile')).toHaveLength(1);
  expect(linesOf('local/camelCase.ts', 'useFilenamingConvention')).toHaveLength(1);
});

function write(file: string, lines: string[]): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), `${lines.join('\n')}\n`);
}

function kebab(rule: string): string {
  return rule.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function lint(): Promise<Diagnostic[]> {
  const biome = join(checkout, 'node_modules/.bin/biome');
  const options = ['lint', '--reporter=json', '--max-diagnostics=none', '.'];
  return new Promise((resolve, reject) => {
    execFile(biome, options, { cwd: folder, maxBuffer: OUTPUT_BYTES_MAX }, (_failed, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout).diagnostics);
      } catch {
        reject(new Error(`biome did not answer: ${stderr}`));
      }
    });
  });
}

function linesOf(file: string, rule: string): number[] {
  return diagnostics
    .filter(({ category, location }) => category.endsWith(`/${rule}`) && location.path === file)
    .map(({ location }) => location.start.line)
    .sort((one, other) => one - other);
}
