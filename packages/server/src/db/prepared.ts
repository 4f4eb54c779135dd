import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasCluster } from './cluster.ts';
import { openDatabase, type Database, type DatabaseOptions, type PgliteOptions } from './database.ts';
import { migrate } from './migrate.ts';

const prefix = 'pglite-';

/**
 * Opens the embedded database of a folder, creating and migrating it. Starting from a dump takes tenths of a second
 * where initialising a cluster takes seconds, so the first new cluster of a version leaves a dump for the next ones.
 */
export async function openPreparedDatabase(
  directory: string,
  options: PreparedOptions & Pick<DatabaseOptions, 'onError'> = {},
): Promise<Database> {
  const isNew = !(await hasCluster(directory));
  const file = await templateFile(options);
  const template = isNew ? await readTemplate(file) : null;
  const reporting = options.onError ? { onError: options.onError } : {};
  const database = await openFrom(template, { driver: 'pglite', directory, ...reporting });
  try {
    await migrate(database);
    if (isNew && template === null) await keep(file, await dump(database)).catch(() => {});
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

export interface PreparedOptions {
  /** Where dumps are kept; beside the installed packages unless given. Nothing is lost where it cannot be written. */
  readonly cacheDirectory?: string;
}

/** A dump of an empty, migrated database, for databases in memory. Made when there is none. */
export async function preparedTemplate(options: PreparedOptions = {}): Promise<Blob> {
  const file = await templateFile(options);
  const kept = await readTemplate(file);
  if (kept) return kept;
  const database = await openDatabase({ driver: 'pglite', directory: null });
  try {
    await migrate(database);
    const made = await dump(database);
    await keep(file, made).catch(() => {});
    return made;
  } finally {
    await database.close();
  }
}

/** A dump that cannot be loaded, such as one cut short by a power failure, is no reason not to start. */
async function openFrom(template: Blob | null, options: DatabaseOptions & PgliteOptions): Promise<Database> {
  if (template === null) return openDatabase(options);
  return openDatabase({ ...options, template }).catch(() => openDatabase(options));
}

async function readTemplate(file: string): Promise<Blob | null> {
  const bytes = await readFile(file).catch(() => null);
  return bytes && new Blob([bytes]);
}

async function dump(database: Database): Promise<Blob> {
  if (!('pglite' in database.native)) throw new Error('Only an embedded database can be dumped.');
  return database.native.pglite.dumpDataDir('none');
}

/** The file gets its name only when it is whole, and takes the place of those of older versions. */
async function keep(file: string, content: Blob): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true });
  const unfinished = path.join(folder, `unfinished-${randomUUID()}`);
  try {
    await writeFile(unfinished, content.stream());
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

async function templateFile({ cacheDirectory }: PreparedOptions): Promise<string> {
  const folder = cacheDirectory ?? path.join(enginePackage().modules, '.cache', 'dailies');
  return path.join(folder, `${prefix}${await fingerprint()}.tar`);
}

function enginePackage(): { modules: string; folder: string } {
  const name = '@electric-sql/pglite';
  const entry = createRequire(import.meta.url).resolve(name);
  const [modules = '.'] = entry.split(path.join(path.sep, name, path.sep));
  return { modules, folder: path.join(modules, name) };
}
