#!/usr/bin/env node
// Plain JavaScript that any Node can run: it finds a Node that fits and hands over to the program. In a clone that is the sources,
// even beside a build, which may be older than they are; the published package has the build only.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const built = join(here, '../dist/main.js');
const sources = join(here, '../src/main.ts');
const fits = (version) => {
  const [major, minor] = version.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 19);
};

const inClone = existsSync(sources);

if (fits(process.versions.node) && !inClone) {
  await import(built);
} else {
  const node = fits(process.versions.node) ? process.execPath : pinnedNode();
  if (node) handOver(node, inClone ? ['--conditions=source', sources] : [built]);
  else refuse();
}

/** The Node that the workspace pins as an npm package. */
function pinnedNode() {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('node/package.json'));
    return [join(folder, 'bin/node'), join(folder, 'bin/node.exe')].find((file) => existsSync(file));
  } catch {
    return undefined;
  }
}

function handOver(node, start) {
  const child = spawn(node, [...start, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to both processes: only wait for the child then, and pass on what was sent to us alone.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
}

function refuse() {
  const fix = inClone ? 'Run: npm rebuild node --ignore-scripts=false (or install Node 24)' : 'Install Node 24.';
  process.stderr.write(
    `dailies needs Node 22.19 or newer; this is Node ${process.versions.node} (${process.execPath}).\n${fix}\n`,
  );
  process.exitCode = 1;
}
