/** What became of everybody, for people. */
import Table from 'cli-table3';
import type { Latency } from '../bench/latency.ts';
import type { Counts, Summary } from './summary.ts';

export function summaryText({ registrations, items, cards, latency, repeated }: Summary): string {
  return [
    tableOf(`${registrations.asked} registrations`, [
      ['completed', registrations.completed],
      ['undone', registrations.undone, registrations.undoneByReason],
      ['refused as a whole', registrations.refused],
      ['cancelled', registrations.cancelled],
      ['not ended yet', registrations.pending],
      ['not taken up', totalOf(registrations.problems), registrations.problems],
    ]),
    tableOf(`${items.asked} sections asked for`, [
      ['enrolled', items.enrolled],
      ['waitlisted', items.waitlisted],
      ['refused', items.refused, items.refusedByReason],
      ['given back when undone', items.released],
      ['still reserved', items.reserved],
    ]),
    `Cards: ${wordsOf(cards)}.`,
    latencyTable(latency),
    ...(repeated > 0 ? [`The edge asked for patience ${repeated} times (Retry-After), and got it.`] : []),
  ].join('\n');
}

function tableOf(head: string, rows: readonly [string, number, Counts?][]): string {
  const table = new Table({
    head: [head, '', ''],
    colAligns: ['left', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const [what, count, why] of rows) {
    if (count > 0) table.push([what, count, why ? wordsOf(why, '\n') : '']);
  }
  return table.toString();
}

function latencyTable({ answered, ended }: Summary['latency']): string {
  const table = new Table({
    head: ['', 'count', 'p50', 'p99', 'max'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  table.push(['PUT answered after', ...rowOf(answered)], ['saga ended after', ...rowOf(ended)]);
  return table.toString();
}

function rowOf({ count, p50Ms, p99Ms, maxMs }: Latency): string[] {
  return [String(count), ...[p50Ms, p99Ms, maxMs].map((ms) => (Number.isNaN(ms) ? '–' : `${ms.toFixed(0)} ms`))];
}

function wordsOf(counts: Counts, separator = ', '): string {
  return Object.entries(counts)
    .map(([word, count]) => `${count} ${word}`)
    .join(separator);
}

function totalOf(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
