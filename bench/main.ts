/** `npm run bench -- <name>… | all [--database <url>] [--long] [--json]` */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { asError } from '../packages/server/src/kernel/errors.ts';
import { archive } from './archive.ts';
import { creates } from './creates.ts';
import { dispatch } from './dispatch.ts';
import { figureLines, meets, type Bench } from './report.ts';
import { slots } from './slots.ts';
import { start } from './start.ts';
import { worker } from './worker.ts';

const benches: Readonly<Record<string, Bench>> = { start, creates, dispatch, archive, slots, worker };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    database: { type: 'string', default: 'postgres://postgres@127.0.0.1:5432/postgres' },
    embedded: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const names = positionals.length === 0 || positionals.includes('all') ? Object.keys(benches) : positionals;
const unknown = names.filter((name) => !Object.hasOwn(benches, name));
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(', ')}. Choose from: all, ${Object.keys(benches).join(', ')}.`);
  process.exit(64);
}
// Leaving by `exit` takes the child processes along.
process.once('SIGINT', () => process.exit(130));
const options = { database: values.embedded ? null : values.database, long: values.long };
for (const name of names) {
  const bench = benches[name];
  if (!bench) continue;
  const load = loadavg()[0] ?? 0;
  try {
    const figures = await bench(options);
    if (!figures.every(meets)) process.exitCode = 1;
    if (values.json) console.log(JSON.stringify({ bench: name, cpus: cpus().length, load, figures }));
    else console.log([`\n${name} (load before: ${load.toFixed(1)})`, ...figureLines(figures)].join('\n'));
  } catch (error) {
    console.error(`${name} failed: ${asError(error).stack}`);
    process.exitCode = 1;
  }
}
