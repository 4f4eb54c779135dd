import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { generated } from './generate-config-docs.ts';

test.for(generated.map(({ file, content }) => [path.basename(file), file, content] as const))(
  '%s says what the configuration takes',
  async ([, file, content]) => {
    expect(await readFile(file, 'utf8')).toBe(content());
  },
);
