// node .ci/counts.cjs REPORT NAME: vitest's JSON report as `passed failed skipped`, then a line per skipped test.
'use strict';
const { readFileSync } = require('node:fs');
const path = require('node:path');

const [file, name] = process.argv.slice(2);
const report = JSON.parse(readFileSync(file, 'utf8'));
const tests = report.testResults.flatMap((suite) =>
  suite.assertionResults.map((test) => ({ ...test, file: path.relative(process.cwd(), suite.name) })),
);
const skipped = tests.filter(({ status }) => ['skipped', 'pending', 'todo', 'disabled'].includes(status));
// A file that could not be loaded has no tests, but it failed.
const unloadable = report.testResults.filter(
  (suite) => suite.status === 'failed' && suite.assertionResults.length === 0,
);
const failed = tests.filter(({ status }) => status === 'failed').length + unloadable.length;
console.log(tests.filter(({ status }) => status === 'passed').length, failed, skipped.length);
for (const test of skipped) console.log(`skipped in ${name}: ${test.file}: ${test.fullName}`);
