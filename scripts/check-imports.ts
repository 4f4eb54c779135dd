import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { importMistake, importsOf } from './import-rules.ts';

/** Reports every import of the tree that goes against scripts/import-rules.ts. */
const root = fileURLToPath(new URL('..', import.meta.url));

const mistakes = globSync('packages/*/src/**/*.ts', { cwd: root }).flatMap((file) =>
  importsOf(readFileSync(`${root}/${file}`, 'utf8')).flatMap((found) => {
    const mistake = importMistake(file.replaceAll('\\', '/'), found);
    return mistake === undefined ? [] : [`${file}: '${found.specifier}': ${mistake}`];
  }),
);

for (const mistake of mistakes) console.error(mistake);
if (mistakes.length > 0) process.exitCode = 1;
