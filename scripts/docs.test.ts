import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const documents = globSync(['*.md', 'docs/**/*.md', 'packages/*/*.md'], { cwd: root, exclude: ['**/node_modules/**'] });

function read(file: string): string {
  return readFileSync(path.join(root, file), 'utf8');
}

test.for(documents)('%s: every link inside the repository leads somewhere', (document) => {
  const targets = [...read(document).matchAll(/\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)/g)].map(
    ([, target = '']) => target,
  );
  expect(targets.filter((target) => !existsSync(path.join(root, path.dirname(document), target)))).toEqual([]);
});

test.for(documents)('%s: every file named in it exists', (document) => {
  const named = [...read(document).matchAll(/`((?:packages|scripts|docs|\.ci|\.github)\/[\w./-]+)`/g)];
  expect(named.map(([, file = '']) => file).filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
});

test.for(documents)('%s: every test named in it exists', (document) => {
  const named = [...read(document).matchAll(/`([\w./-]+\.test\.ts)`: "([^"\n]+)"/g)];
  const missing = named.filter(
    ([, file = '', title = '']) => !existsSync(path.join(root, file)) || !read(file).includes(title),
  );
  expect(missing.map(([line]) => line)).toEqual([]);
});

test('every decision is in the index', () => {
  const files = globSync('docs/decisions/[0-9]*.md', { cwd: root }).map((file) => path.basename(file));
  const index = read('docs/decisions/README.md');
  expect(files.filter((file) => !index.includes(`(${file})`))).toEqual([]);
});
