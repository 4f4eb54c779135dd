// node .ci/matrix.cjs REPORT... ENGINE=OUTCOME...: driver x suite, from the contract suites in vitest's JSON reports and from what came of the
// deployment on each engine. Exit code 1 when a cell failed, is
// missing or skipped a test.
'use strict';
const { readFileSync } = require('node:fs');

/** Contract suite -> the driver as its tests name it -> as it is known. */
const suites = {
  queue: {
    'postgres on PGlite': 'PGlite',
    'postgres on PostgreSQL': 'PostgreSQL',
    'redis on one server': 'Redis',
    'redis on a cluster of three masters': 'Redis Cluster',
    sqs: 'SQS',
    pubsub: 'Pub/Sub',
  },
  BlobStore: { fs: 'fs', s3: 'S3', gcs: 'GCS' },
};
const cells = new Map();
const given = process.argv.slice(2);
for (const file of given.filter((one) => one.endsWith('.json'))) {
  for (const suite of JSON.parse(readFileSync(file, 'utf8')).testResults) {
    for (const { ancestorTitles, status } of suite.assertionResults) {
      const title = ancestorTitles.find((one) => / contract: /.test(one));
      if (!title) continue;
      const cell = cells.get(title) ?? { passed: 0, failed: 0, skipped: 0 };
      cell[status in cell ? status : 'skipped'] += 1;
      cells.set(title, cell);
    }
  }
}
let good = true;
for (const [port, drivers] of Object.entries(suites)) {
  for (const [driver, name] of Object.entries(drivers)) {
    const { passed, failed, skipped } = cells.get(`${port} contract: ${driver}`) ?? {
      passed: 0,
      failed: 0,
      skipped: 0,
    };
    const ok = passed > 0 && failed === 0 && skipped === 0;
    good &&= ok;
    const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`;
    console.log(`${port.padEnd(10)} ${name.padEnd(14)} ${counts}${ok ? '' : '   NOT GOOD'}`);
  }
}
for (const outcome of given.filter((one) => !one.endsWith('.json'))) {
  const [engine, result] = outcome.split('=');
  good &&= result === 'passed';
  console.log(`${'deployment'.padEnd(10)} ${engine.padEnd(14)} ${result}${result === 'passed' ? '' : '   NOT GOOD'}`);
}
process.exitCode = good ? 0 : 1;
