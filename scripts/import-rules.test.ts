import { expect, test } from 'vitest';
import { importMistake, importsOf } from './import-rules.ts';

const statically = (specifier: string) => ({ specifier, kind: 'static' }) as const;

test.for([
  ['packages/server/src/kernel/money.ts', '../db/tables.ts', 'kernel is below db'],
  ['packages/server/src/scheduling/slots.ts', '../videos/video.ts', 'scheduling is below videos'],
  [
    'packages/server/src/storage/fs.ts',
    '../kling/open.ts',
    'storage and kling are siblings and do not import each other',
  ],
  ['packages/server/src/videos/settle.ts', '../main.ts', 'videos is below entry'],
  ['packages/server/src/videos/settle.ts', '../config.ts', 'videos is below config'],
  ['packages/server/src/compose.ts', './main.ts', 'compose is below entry'],
  ['packages/server/src/newcomer/a.ts', '../kernel/money.ts', 'name the step of newcomer in scripts/import-rules.ts'],
  ['packages/server/src/videos/settle.ts', 'fastify', 'only api/, callbacks/ may import fastify'],
  ['packages/server/src/api/app.ts', 'kysely/migration', /^only db\/.* may import kysely$/],
  ['packages/server/src/queue/open.ts', 'pg-boss', 'only queue/postgres.ts may import pg-boss'],
  ['packages/server/src/queue/open.ts', 'leftpad', 'name in scripts/import-rules.ts who may import this package'],
  ['packages/server/src/compose.ts', '@dailies/sandbox', /only the composition loads the sandbox, lazily/],
  ['packages/server/src/compose.ts', './sandbox-credentials.ts', /import it lazily/],
  ['packages/server/src/db/now.ts', '../../../sandbox/src/index.ts', /leaves its package/],
  ['packages/sandbox/src/sandbox.ts', '@dailies/sdk', /imports nothing of ours/],
  ['packages/sdk/src/client.ts', 'zod', /has no dependencies/],
  ['packages/sdk/src/client.ts', 'node:fs', /has no dependencies/],
  ['packages/cli/src/main.ts', '@dailies/server', /load it lazily/],
] as const)('%s must not import %s', ([file, specifier, mistake]) => {
  expect(importMistake(file, statically(specifier))).toMatch(mistake);
});

test.for([
  ['packages/server/src/videos/settle.ts', statically('../budget/ledger.ts')],
  ['packages/server/src/videos/settle.ts', statically('./video.ts')],
  ['packages/server/src/main.ts', statically('./compose.ts')],
  ['packages/server/src/compose.ts', statically('./config.ts')],
  ['packages/server/src/compose.ts', { specifier: '@dailies/sandbox', kind: 'lazy' }],
  ['packages/server/src/sandbox-credentials.ts', statically('@dailies/sandbox')],
  ['packages/server/src/queue/postgres.ts', statically('pg-boss')],
  ['packages/server/src/api/app.ts', statically('node:http')],
  ['packages/cli/src/commands/sandbox.ts', { specifier: '@dailies/sandbox', kind: 'type' }],
  ['packages/server/src/queue/postgres.test.ts', statically('../../test/support/database.ts')],
] as const)('%s may import %o', ([file, found]) => {
  expect(importMistake(file, found)).toBeUndefined();
});

test('every form of import is found', () => {
  const source = `import 'a';
import type { B } from 'b';
import c, {
  d,
} from './c.ts';
export { e } from './e.ts';
export type { F } from 'f';
export const text = "import 'not this'";
const lazy = await import('g');
`;
  expect(importsOf(source).map(({ specifier, kind }) => `${kind} ${specifier}`)).toEqual([
    'static a',
    'type b',
    'static ./c.ts',
    'static ./e.ts',
    'type f',
    'lazy g',
  ]);
});
