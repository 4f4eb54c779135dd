/** From nothing to a ready embedded server: the first start in a folder, and the next one. The best of three each. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { serverReady, startChild } from '../packages/cli/src/child-process.ts';
import { preparedTemplate } from '../packages/server/src/db/prepared.ts';
import type { Bench } from './report.ts';
import { withFolder } from './surroundings.ts';

export const start: Bench = async () => {
  const runs = await withFolder(async (folder) => {
    const seen: { first: number; second: number }[] = [];
    for (let run = 0; run < 3; run++) {
      const data = await mkdtemp(join(folder, 'run-'));
      seen.push({ first: await readyAfterMs(data), second: await readyAfterMs(data) });
    }
    return seen;
  });
  const dumpMs = await withFolder(async (folder) => {
    const begun = performance.now();
    await preparedTemplate({ cacheDirectory: folder });
    return performance.now() - begun;
  });
  const first = Math.min(...runs.map((run) => run.first));
  const second = Math.min(...runs.map((run) => run.second));
  return [
    { what: 'first start in a folder', value: first / 1_000, unit: 's', target: { atMost: 5 } },
    { what: 'second start', value: second / 1_000, unit: 's', target: { atMost: 1.5 } },
    { what: 'once per installation: initialise a cluster', value: dumpMs / 1_000, unit: 's' },
    { what: 'first start of an installation', value: (first + dumpMs) / 1_000, unit: 's', target: { atMost: 5 } },
  ];
};

async function readyAfterMs(folder: string): Promise<number> {
  const env = {
    DATA_DIR: join(folder, 'data'),
    PORT: '0',
    CALLBACKS_PORT: '0',
    SANDBOX_PORT: '0',
    KLING_PROVIDER: 'sandbox',
  };
  const begun = performance.now();
  const child = await startChild({
    args: ['serve'],
    env,
    logFile: join(folder, 'serve.log'),
    ready: serverReady,
    timeoutMs: 60_000,
  });
  const ms = performance.now() - begun;
  await child.stop();
  return ms;
}
