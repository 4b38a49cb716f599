/** The process that audits a running platform again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, register } from 'prom-client';
import { readConfig } from '#lib/config';
import { databaseAt } from '#lib/database-url';
import { createLogger, type Logger } from '#lib/log';
import { gauge, serveMetrics } from '#lib/metrics';
import { runProcess } from '#lib/process';
import { type AuditOptions, audit } from './audit.ts';
import type { Finding } from './finding.ts';

/** Long logs take long to audit, and the database has other things to do: it rests this many times as long. */
const PAUSES_PER_AUDIT = 5;

export interface AuditorOptions {
  databaseUrl: AuditOptions['databaseUrl'];
  providerUrl: string;
  intervalSeconds: number;
  metricsPort: number;
  logger: Logger;
}

export interface RunningAuditor {
  metricsPort: number;
  stop(): Promise<void>;
}

/** The whole life of the process. */
export function runAuditor(): Promise<void> {
  return runProcess(async () => {
    const config = readConfig('auditor');
    const { auditDatabaseUrl, paymentProviderUrl: providerUrl, auditIntervalSeconds: intervalSeconds } = config;
    const auditor = await startAuditor({
      databaseUrl: (name) => databaseAt(auditDatabaseUrl, name),
      providerUrl,
      intervalSeconds,
      metricsPort: config.metricsPort,
      logger: createLogger(config.name, config.logLevel),
    });
    return { address: `127.0.0.1:${auditor.metricsPort}`, stop: auditor.stop };
  });
}

/** Audits every `intervalSeconds`, tells metrics and the log. */
export async function startAuditor(options: AuditorOptions): Promise<RunningAuditor> {
  const { metricsPort, intervalSeconds, logger } = options;
  const metrics = await serveMetrics(metricsPort);
  const stopping = new AbortController();
  void auditAgainAndAgain(options, stopping.signal);
  logger.info({ metricsPort: metrics.port, intervalSeconds }, 'auditing');
  return {
    metricsPort: metrics.port,
    stop: async () => {
      // An audit at hand only reads: there is nothing to wait for.
      stopping.abort();
      await metrics.close();
    },
  };
}

async function auditAgainAndAgain(options: AuditorOptions, signal: AbortSignal): Promise<void> {
  const tell = measured(options.logger);
  const intervalMs = options.intervalSeconds * 1_000;
  for (let pauseMs = intervalMs; !signal.aborted; ) {
    // First, because a platform that starts has nothing to audit yet.
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const startedAt = performance.now();
    try {
      const findings = await audit(options);
      tell(findings, Math.round(performance.now() - startedAt));
    } catch (failure) {
      // Something is down, which others tell of; the next audit looks again.
      const reason = failure instanceof Error ? failure.message : String(failure);
      options.logger.warn({ reason }, 'the audit could not run');
    }
    pauseMs = Math.max(intervalMs, (performance.now() - startedAt) * PAUSES_PER_AUDIT);
  }
}

/** Makes metrics and log lines of findings. */
function measured(logger: Logger): (findings: Finding[], tookMs: number) => void {
  register.removeSingleMetric('registrar_audit_breaches');
  const breachesGauge = new Gauge({
    name: 'registrar_audit_breaches',
    help: 'Breaches that the last audit found',
    labelNames: ['invariant'] as const,
  });
  let lastSuccessAtMs = 0;
  gauge('registrar_audit_last_success_timestamp', 'When an audit last ran to its end, in epoch seconds', () =>
    Math.floor(lastSuccessAtMs / 1_000),
  );
  return (findings, tookMs) => {
    lastSuccessAtMs = Date.now();
    for (const { invariant, sentence, breaches, examples } of findings) {
      breachesGauge.set({ invariant }, breaches);
      if (breaches > 0) logger.error({ invariant, sentence, breaches, examples }, 'an invariant is broken');
    }
    const checked = findings.reduce((sum, finding) => sum + finding.checked, 0);
    const breaches = findings.reduce((sum, finding) => sum + finding.breaches, 0);
    logger.info({ checked, breaches, tookMs }, 'audited');
  };
}
