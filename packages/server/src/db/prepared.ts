import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openDatabase } from './database.ts';
import { migrate } from './migrate.ts';

const prefix = 'pglite-';

/**
 * A dump of an empty, migrated embedded database. Starting from it takes tenths of a second where initialising a
 * cluster takes seconds, so it is made once per version and kept beside the installed packages. Where that place
 * cannot be written, it is made anew each time.
 * @param folder where to keep it; for tests
 */
export async function preparedTemplate(folder: string = cacheFolder()): Promise<Blob> {
  const file = path.join(folder, `${prefix}${await fingerprint()}.tar`);
  const kept = await readFile(file).catch(() => null);
  if (kept) return new Blob([kept]);
  const dump = await createTemplate();
  await keep(file, dump).catch(() => {});
  return dump;
}

async function createTemplate(): Promise<Blob> {
  const database = await openDatabase({ driver: 'pglite', directory: null });
  try {
    await migrate(database);
    if (!('pglite' in database.native)) throw new Error('unreachable: the embedded driver was asked for');
    return await database.native.pglite.dumpDataDir('none');
  } finally {
    await database.close();
  }
}

/** The file gets its name only when it is whole, and takes the place of those of older versions. */
async function keep(file: string, dump: Blob): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true });
  const unfinished = path.join(folder, `unfinished-${randomUUID()}`);
  try {
    await writeFile(unfinished, dump.stream());
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
  for (const name of await readdir(folder)) {
    if (name.startsWith(prefix) && name !== path.basename(file)) await rm(path.join(folder, name), { force: true });
  }
}

/** Changes with anything that changes the dump: the engine, or the text of a migration. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  hash.update(await readFile(path.join(enginePackage().folder, 'package.json')));
  const folder = fileURLToPath(new URL('./migrations/', import.meta.url));
  for (const name of (await readdir(folder)).toSorted()) {
    hash.update(name).update(await readFile(path.join(folder, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

function cacheFolder(): string {
  return path.join(enginePackage().modules, '.cache', 'dailies');
}

function enginePackage(): { modules: string; folder: string } {
  const name = '@electric-sql/pglite';
  const entry = createRequire(import.meta.url).resolve(name);
  const [modules = '.'] = entry.split(path.join(path.sep, name, path.sep));
  return { modules, folder: path.join(modules, name) };
}
