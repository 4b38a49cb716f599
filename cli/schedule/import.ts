import type { Client } from '@connectrpc/connect';
import type { Term } from '#proto/catalog/v1/catalog';
import type { CatalogService } from '#proto/catalog/v1/service';
import { Batch } from './batch.ts';
import { BadRow, type Fault } from './fault.ts';
import { type Place, readSchedule, type ScheduleItem } from './schedule.ts';

const CALL_TIMEOUT_MS = 60_000;

export interface ImportOptions {
  catalog: Client<typeof CatalogService>;
  term: Term;
  dryRun?: boolean;
  unlistedCredits?: number;
  onFault: (fault: Fault) => void;
  /** Told of every row that was read. */
  onPlace?: (place: Place) => void;
}

export interface Counts {
  created: number;
  changed: number;
  unchanged: number;
}

/** What an import did, or would do. */
export interface ImportCounts {
  courses: Counts;
  sections: Counts;
}

type Of<Kind> = Extract<ScheduleItem, { kind: Kind }>;

/** Puts a folder's schedule into a term of the catalog. Repeating it changes nothing. @throws NoSchedule */
export async function importSchedule(folder: string, options: ImportOptions): Promise<ImportCounts> {
  const { catalog, term, dryRun = false, unlistedCredits, onFault, onPlace } = options;
  const call = { timeoutMs: CALL_TIMEOUT_MS };
  await catalog.putTerms({ terms: [term], dryRun }, call);
  /** A dry run must know them too: the catalog cannot say then which courses there will be. */
  const refused = new Map<string, Of<'course'>>();
  const courses = new Batch<Of<'course'>>(
    async (items) => (await catalog.putCourses({ courses: items.map(({ course }) => course), dryRun }, call)).counts,
    (fault, item) => {
      refused.set(item.course.id, item);
      onFault(fault);
    },
  );
  const sections = new Batch<Of<'section'>>(async (items) => {
    // No section may come before its course.
    await courses.flush();
    for (const { section } of items) requireCourse(refused.get(section.courseId));
    return (await catalog.putSections({ sections: items.map(({ section }) => section), dryRun }, call)).counts;
  }, onFault);
  const reading = { termId: term.id, ...(unlistedCredits !== undefined && { unlistedCredits }) };
  for await (const item of readSchedule(folder, reading)) {
    onPlace?.(item);
    if (item.kind === 'course') await courses.add(item);
    else if (item.kind === 'section') await sections.add(item);
    else onFault({ file: item.file, line: item.line, reason: item.reason });
  }
  await courses.flush();
  await sections.flush();
  return { courses: courses.counts, sections: sections.counts };
}

/** @throws BadRow for the section of a course that was refused */
function requireCourse(refused: Of<'course'> | undefined): void {
  if (refused)
    throw new BadRow(`its course ${refused.course.code} was not taken, see ${refused.file} line ${refused.line}`);
}
