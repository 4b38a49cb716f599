import { Histogram } from 'prom-client';

export const batchSize = new Histogram({
  name: 'registrar_decision_batch_size',
  help: 'Registrations decided in one transaction',
  buckets: [1, 4, 16, 64, 256, 1_000],
});

export const decisionLatency = new Histogram({
  name: 'registrar_decision_seconds',
  help: 'From being queued to being decided and committed',
  buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
});
