/** For tests of the whole platform: what must hold of it whenever every registration has ended. */
import { expect } from 'vitest';
import { services } from '#lib/config';
import { audit } from '../../cli/audit/audit.ts';
import type { Campus } from './campus.ts';

/** The auditor finds nothing wrong, and has looked at something everywhere. */
export async function expectSound({ platform }: Campus): Promise<void> {
  const { databaseUrls, paymentProviderUrl: providerUrl } = platform.record;
  const findings = await audit({ databaseUrl: (name) => databaseUrls[name], providerUrl, settledSeconds: 0 });
  expect(findings.filter(({ breaches }) => breaches > 0)).toEqual([]);
  expect(findings.length).toBeGreaterThan(0);
}

/** Every log counts 1, 2, 3, … to its head. */
export async function expectGapless(campus: Campus): Promise<void> {
  for (const service of services) {
    const [log] = await campus.rows<{ head: string; count: string; last: string }>(
      service,
      `select (select position from event_head) as head, count(*) as count, coalesce(max(position), 0) as last from events`,
    );
    expect(log, service).toEqual({ head: log?.count, count: log?.count, last: log?.count });
  }
}

/** What the views show of sections is what enrollment knows. */
export async function expectViewsEqual(campus: Campus): Promise<void> {
  const seats = await campus.rows('enrollment', 'select id, capacity, taken, waitlisted from sections order by id');
  const shown = await campus.rows(
    'views',
    'select section_id as id, capacity, taken, waitlisted from section_seats order by section_id',
  );
  expect(shown).toEqual(seats);
  const registrations = 'select id, status from registrations order by id';
  const live = `select registration_id, section_id, student_id, SOURCE as outcome from enrollments
    where SOURCE in ('reserved', 'enrolled', 'waitlisted') order by registration_id, section_id`;
  expect(await campus.rows('views', live.replaceAll('SOURCE', 'outcome'))).toEqual(
    await campus.rows('enrollment', live.replaceAll('SOURCE', 'status')),
  );
  expect(await campus.rows('views', registrations)).toEqual(await campus.rows('enrollment', registrations));
}
