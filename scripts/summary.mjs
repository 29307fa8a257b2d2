/* Prints `N passed, N failed` from the JSON report of a test run that is named by the argument. */
import { readFileSync } from 'node:fs';

const { numPassedTests, numFailedTests, testResults, success } = JSON.parse(readFileSync(process.argv[2], 'utf8'));
// A file that could not even be loaded has no tests to count.
const brokenFiles = testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
);
// An error outside of every test fails the run too.
const failed = Math.max(numFailedTests + brokenFiles.length, success ? 0 : 1);
console.log(`${numPassedTests} passed, ${failed} failed`);
