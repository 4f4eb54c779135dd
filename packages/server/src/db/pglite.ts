import { rename, rm } from 'node:fs/promises';
import { PGlite, types } from '@electric-sql/pglite';
import { PGliteDialect } from 'kysely';
import { hasCluster } from './cluster.ts';
import type { OpenedDriver, PgliteOptions } from './database.ts';

/** PGlite reads 8-byte integers as numbers where they fit; text is what the other driver gives, and never rounds. */
const parsers = { [types.INT8]: (text: string) => text };

/** Opens the embedded database, creating its folder when there is none. The caller holds the folder's lock. */
export async function openPglite(options: PgliteOptions): Promise<OpenedDriver> {
  const pglite = await open(options.directory, options.template ?? null);
  return {
    dialect: new PGliteDialect({ pglite }),
    native: { pglite },
    async close() {
      if (!pglite.closed) await pglite.close();
    },
  };
}

async function open(directory: string | null, template: Blob | null): Promise<PGlite> {
  if (directory === null) return PGlite.create(loadOptions(template));
  if (!(await hasCluster(directory))) await createCluster(directory, template);
  return PGlite.create(directory, { parsers });
}

/** A half-made cluster would look like a whole one, so it gets its name only when it is finished. */
async function createCluster(directory: string, template: Blob | null): Promise<void> {
  const unfinished = `${directory}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  const pglite = await PGlite.create(unfinished, loadOptions(template));
  await pglite.close();
  await rm(directory, { recursive: true, force: true });
  await rename(unfinished, directory);
}

function loadOptions(template: Blob | null) {
  return template ? { parsers, loadDataDir: template } : { parsers };
}
