import { join } from 'node:path';
import type { PlatformRecord } from '../local/platform-record.ts';

const PASSWORD = 'registrar-demo';
const demoLogins = ['student-001', 'instructor-01', 'staff'].map((name) => `${name}@campus.example`);

/** What a person who has just started the platform wants to know. */
export function addressTable(record: PlatformRecord): string {
  const grpcParts = record.parts.filter(({ name }) => !['edge', 'provider', 'auditor'].includes(name));
  const rows: [string, string, string?][] = [
    ['REST edge', record.edgeUrl],
    ['API docs', `${record.edgeUrl}/docs`],
    ['Temporal Web UI', record.temporalUiUrl ?? `of the server at ${record.temporalAddress}`],
    ['Temporal', record.temporalAddress],
    ['Payment provider', record.paymentProviderUrl],
    ['Postgres', withoutPassword(record.primaryUrl)],
    ...record.replicaUrls.map((url, index): [string, string] => [`  replica ${index + 1}`, withoutPassword(url)]),
    ['', ''],
    ['gRPC', 'address', 'metrics'],
    ...grpcParts.map(({ name, number, address, metricsUrl }): [string, string, string] => [
      `  ${name}${number > 1 ? `-${number}` : ''}`,
      address,
      metricsUrl,
    ]),
    ['', ''],
    ['Demo logins', demoLogins.join(', ')],
    ['Password', PASSWORD],
    ['Logs', record.logFolder],
    ['All addresses', join(record.dataFolder, 'platform.json')],
  ];
  const [first, second] = [0, 1].map((column) => Math.max(...rows.slice(0, -5).map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => line(row, first ?? 0, second ?? 0)).join('\n');
}

function line([label, value, extra]: [string, string, string?], first: number, second: number): string {
  return `${label.padEnd(first)}  ${extra ? `${value.padEnd(second)}  ${extra}` : value}`.trimEnd();
}

function withoutPassword(url: string): string {
  return url.replace(/:[^:@/]+@/, '@');
}
