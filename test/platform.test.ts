/**
 * What only all processes together can show. One platform serves all of it, because a start is dear: the quiet parts come first, then
 * what stops and kills processes, then what must hold at rest, and at last the end and a second start on the same data.
 */
import { afterAll, beforeAll, describe, vi } from 'vitest';
import { type Campus, openTerm, startCampus } from './platform/campus.ts';
import { end } from './platform/end.ts';
import { journey } from './platform/journey.ts';
import { kills } from './platform/kills.ts';
import { loopback } from './platform/loopback.ts';
import { metrics } from './platform/metrics.ts';
import { outages } from './platform/outages.ts';
import { primary } from './platform/primary.ts';
import { races } from './platform/races.ts';
import { replicas } from './platform/replicas.ts';
import { rights } from './platform/rights.ts';
import { grpcurlBinary, tools } from './platform/tools.ts';

// Longer than any wait inside: that says what it waited for.
vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

let campus: Campus;
let remove: () => Promise<void>;
const running = () => campus;

beforeAll(async () => {
  ({ campus, remove } = await startCampus());
  await openTerm(campus);
  // It may have to be built, which the first tests need not wait for.
  void grpcurlBinary();
});
afterAll(async () => {
  await campus?.platform.stop();
  await remove?.();
  await campus?.close();
});

describe('a student’s way', () => journey(running));
describe('races', () => races(running));
describe('rights', () => rights(running));
describe('metrics', () => metrics(running));
describe('loopback', () => loopback(running));
describe('tools', () => tools(running));
describe('services that end', () => kills(running));
describe('services that are away', () => outages(running));
describe('replicas', () => replicas(running));
describe('the primary', () => primary(running));
describe('the end', () =>
  end(running, (next) => {
    campus = next;
  }));
