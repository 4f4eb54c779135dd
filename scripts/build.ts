/**
 * Makes what npm publishes: `dist/` with JavaScript and declarations, and the licence, in every package. The order is that of the
 * dependencies, because each package is checked against the declarations of those that it uses, not against their sources.
 */
import { spawnSync } from 'node:child_process';
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

for (const name of ['sdk', 'sandbox', 'server', 'cli']) {
  const folder = path.join(root, 'packages', name);
  await rm(path.join(folder, 'dist'), { recursive: true, force: true });
  const { status } = spawnSync('tsc', ['-p', path.join(folder, 'tsconfig.build.json')], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error(`packages/${name} does not build`);
  await cp(path.join(root, 'LICENSE'), path.join(folder, 'LICENSE'));
}
