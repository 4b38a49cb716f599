/** Which test files begin first: those that last longest, so that none of them is left alone at the end. */
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** In the order in which they begin; all others are over within seconds, and begin as vitest thinks best. */
const longest = [
  'test/platform.test.ts',
  'cli/start.test.ts',
  'test/saga-killed.test.ts',
  'cli/audit/audit.test.ts',
  'test/saga-undone.test.ts',
  'test/saga-outage.test.ts',
  'test/temporal-outage.test.ts',
  'test/commands.test.ts',
  'cli/audit/busy.test.ts',
  'local/postgres.test.ts',
  'cli/import.test.ts',
  'test/triad.test.ts',
  'cli/audit.test.ts',
  'views/failover.test.ts',
  'views/reader.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files);
    const placeOf = ({ moduleId, project }: TestSpecification) => {
      const place = longest.indexOf(relative(project.config.root, moduleId));
      return place === -1 ? longest.length : place;
    };
    return others.toSorted((one, other) => placeOf(one) - placeOf(other));
  }
}
