/** Looks whether what must always hold does hold, on a platform that may be busy meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { allOrNothing } from './all-or-nothing.ts';
import { chargedOnce } from './charged-once.ts';
import { copiesConstant } from './copies-constant.ts';
import { type Finding, Tally } from './finding.ts';
import { ledgerBalances } from './ledger-balances.ts';
import { logsGapless } from './logs-gapless.ts';
import { nothingUnasked } from './nothing-unasked.ts';
import { oneLiveEnrollment } from './one-live-enrollment.ts';
import type { Audited, Invariant } from './platform.ts';
import { seatsWithinCapacity } from './seats-within-capacity.ts';
import { toldEnrollmentsExist } from './told-enrollments-exist.ts';

const SETTLED_SECONDS_DEFAULT = 2;
const SECOND_LOOK_AFTER_MS = 1_000;

const invariants: readonly Invariant[] = [
  seatsWithinCapacity,
  toldEnrollmentsExist,
  nothingUnasked,
  oneLiveEnrollment,
  chargedOnce,
  ledgerBalances,
  allOrNothing,
  copiesConstant,
  logsGapless,
];

export type AuditOptions = Omit<Audited, 'settledSeconds'> & Partial<Pick<Audited, 'settledSeconds'>>;

/**
 * Checks every invariant, one after the other.
 * @returns a finding for each, also where nothing is wrong.
 * @throws PlatformError where something cannot be read.
 */
export async function audit(options: AuditOptions): Promise<Finding[]> {
  const audited = { settledSeconds: SETTLED_SECONDS_DEFAULT, ...options };
  const findings: Finding[] = [];
  for (const invariant of invariants) findings.push(await examine(invariant, audited));
  return findings;
}

async function examine(invariant: Invariant, audited: Audited): Promise<Finding> {
  const { name, sentence, looksTwice } = invariant;
  const seen = await look(invariant, audited);
  if (seen.hasBreaches && looksTwice) {
    await sleep(SECOND_LOOK_AFTER_MS);
    seen.keepSeenBy(await look(invariant, audited));
  }
  return seen.finding(name, sentence);
}

async function look(invariant: Invariant, audited: Audited): Promise<Tally> {
  const tally = new Tally();
  await invariant.look(audited, tally);
  return tally;
}
