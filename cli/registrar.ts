#!/usr/bin/env node
/** The `registrar` command: each of its commands is a file of its own, loaded when it is asked for. */
import { join } from 'node:path';
import { Command } from 'commander';
import { reportFailure } from './failure-report.ts';

interface Entry {
  description: string;
  /** The module exports its `command`, without name and description. */
  load: () => Promise<{ command: Command }>;
}

/** A new command is one line here. */
const commands: Record<string, Entry> = {
  start: { description: 'run the whole platform on this machine', load: () => import('./start.ts') },
  bench: { description: 'measure this machine against the promised figures', load: () => import('./bench.ts') },
  import: { description: 'take over what a school has elsewhere', load: () => import('./import.ts') },
  demo: { description: 'let students of the demo campus register at once', load: () => import('./demo.ts') },
  'rebuild-views': { description: 'empty the views and fill them again', load: () => import('./rebuild-views.ts') },
  audit: { description: 'check that what must always hold does hold', load: () => import('./audit.ts') },
};

const NODE_VERSION_MIN = 24;

runUnderOwnNode();
const [first, second] = process.argv.slice(2);
const asked = first === 'help' ? second : first;
const program = new Command('registrar').description('Registrar: course registration that never oversells a seat.');
for (const [name, { description, load }] of Object.entries(commands)) {
  const command = name === asked ? (await load()).command : new Command();
  program.addCommand(command.name(name).description(description));
}
try {
  await program.parseAsync();
} catch (failure) {
  process.exitCode = reportFailure(failure);
}

/** npm puts the Node that this package depends on first on PATH; whoever starts the file by hand may have another one. */
function runUnderOwnNode(): void {
  if (Number.parseInt(process.versions.node, 10) >= NODE_VERSION_MIN) return;
  const node = join(import.meta.dirname, '..', 'node_modules', 'node', 'bin', 'node');
  process.execve?.(node, [node, ...process.argv.slice(1)]);
}
