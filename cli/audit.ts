import { Command } from 'commander';
import { dataOption } from './data-option.ts';
import { secondsSince } from './elapsed.ts';
import { reportFailure } from './failure-report.ts';

const BROKEN_EXIT_CODE = 1;
const CANNOT_RUN_EXIT_CODE = 2;

interface AuditCommandOptions {
  data: string;
  json: boolean;
  loop: boolean;
}

export const command = new Command()
  .addOption(dataOption())
  .option('--json', 'print one JSON object instead of text', false)
  .option(
    '--loop',
    'audit again and again, as a process of the platform that is told where it is in its environment',
    false,
  )
  .addHelpText(
    'after',
    '\nExits with 0 where everything holds, 1 where something is broken, 2 where the audit cannot run.',
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : CANNOT_RUN_EXIT_CODE))
  .action(async (options: AuditCommandOptions) => {
    try {
      await run(options);
    } catch (failure) {
      reportFailure(failure);
      process.exitCode = CANNOT_RUN_EXIT_CODE;
    }
  });

/** Loads what each way of running needs, and no more: the loop is one more process on every machine. */
async function run({ data, json, loop }: AuditCommandOptions): Promise<void> {
  if (loop) {
    const { runAuditor } = await import('./audit/auditor.ts');
    return runAuditor();
  }
  const [{ audit }, { auditTable }, { readPlatform }] = await Promise.all([
    import('./audit/audit.ts'),
    import('./audit/table.ts'),
    import('../local/platform-record.ts'),
  ]);
  const startedAt = performance.now();
  const { databaseUrls, paymentProviderUrl } = readPlatform(data);
  const findings = await audit({ databaseUrl: (name) => databaseUrls[name], providerUrl: paymentProviderUrl });
  const seconds = secondsSince(startedAt);
  const holds = findings.every(({ breaches }) => breaches === 0);
  console.log(json ? JSON.stringify({ holds, seconds, findings }, null, 2) : auditTable(findings, seconds));
  if (!holds) process.exitCode = BROKEN_EXIT_CODE;
}
