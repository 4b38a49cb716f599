import Table from 'cli-table3';
import type { Finding } from './finding.ts';

const SENTENCE_WIDTH = 62;

/** For people: a row an invariant, then what breaks it. */
export function auditTable(findings: readonly Finding[], seconds: number): string {
  const table = new Table({
    head: ['', 'must hold', 'checked', 'breaches'],
    colWidths: [null, SENTENCE_WIDTH, null, null],
    colAligns: ['left', 'left', 'right', 'right'],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { invariant, sentence, checked, breaches } of findings)
    table.push([invariant, sentence, checked, breaches]);
  return [table.toString(), ...findings.flatMap(examplesOf), verdict(findings, seconds)].join('\n');
}

function examplesOf({ invariant, breaches, examples }: Finding): string[] {
  const lines = examples.map(({ id, sentence }) => `${invariant}  ${id}: ${sentence}`);
  const more = breaches - examples.length;
  return more > 0 ? [...lines, `${invariant}  … and ${more} more`] : lines;
}

function verdict(findings: readonly Finding[], seconds: number): string {
  const broken = findings.filter(({ breaches }) => breaches > 0);
  if (broken.length === 0) return `Everything holds (audited in ${seconds} s).`;
  return `${broken.map(({ invariant }) => invariant).join(', ')} ${broken.length > 1 ? 'are' : 'is'} broken (audited in ${seconds} s).`;
}
