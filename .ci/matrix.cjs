// node .ci/matrix.cjs REPORT...: driver x suite, from the contract suites in vitest's JSON reports. Exit code 1 when a cell failed, is
// missing or skipped a test.
'use strict';
const { readFileSync } = require('node:fs');

const suites = {
  Queue: ['PGlite', 'PostgreSQL', 'Redis', 'Redis Cluster', 'SQS', 'Pub/Sub'],
  BlobStore: ['fs', 'S3', 'GCS'],
};
const cells = new Map();
for (const file of process.argv.slice(2)) {
  for (const suite of JSON.parse(readFileSync(file, 'utf8')).testResults) {
    for (const { ancestorTitles, status } of suite.assertionResults) {
      const [, port, driver] = /^(\w+) contract: (.+)$/.exec(ancestorTitles[0] ?? '') ?? [];
      if (!port) continue;
      const cell = cells.get(`${port}: ${driver}`) ?? { passed: 0, failed: 0, other: 0 };
      cell[status === 'passed' || status === 'failed' ? status : 'other'] += 1;
      cells.set(`${port}: ${driver}`, cell);
    }
  }
}
let good = true;
for (const [port, drivers] of Object.entries(suites)) {
  for (const driver of drivers) {
    const cell = cells.get(`${port}: ${driver}`) ?? { passed: 0, failed: 0, other: 0 };
    const ok = cell.passed > 0 && cell.failed === 0 && cell.other === 0;
    good &&= ok;
    const counts = `${cell.passed} passed, ${cell.failed} failed${cell.other > 0 ? `, ${cell.other} skipped` : ''}`;
    console.log(`${port.padEnd(10)} ${driver.padEnd(14)} ${counts}${ok ? '' : '   NOT GOOD'}`);
  }
}
process.exitCode = good ? 0 : 1;
