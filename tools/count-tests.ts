/** Prints `<passed> <failed>` of a vitest run: its JSON report, and the status it ended with. */
import { existsSync, readFileSync } from 'node:fs';

interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

const [file = '', status] = process.argv.slice(2);
const report: Report | undefined = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
const passed = report?.numPassedTests ?? 0;
const failed = report ? report.numFailedTests + filesFailedAsAWhole(report) : 0;
// An error outside of all tests, as in the set-up, is in no test's result.
console.log(`${passed} ${failed === 0 && status !== '0' ? 1 : failed}`);

/** A file that cannot be loaded, or whose hooks fail, fails without a failed test. */
function filesFailedAsAWhole({ testResults }: Report): number {
  const isFailed = ({ status }: { status: string }) => status === 'failed';
  return testResults.filter((one) => isFailed(one) && !one.assertionResults.some(isFailed)).length;
}
