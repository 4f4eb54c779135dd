import type { Kysely } from 'kysely';
import type { Config } from './config.ts';
import { lockDataDirectory } from './db/data-directory-lock.ts';
import { nameDatabase } from './compose-parts.ts';
import { openPart, type StartPatience } from './compose-wait.ts';
import { isConnectionFailure } from './db/connection-failure.ts';
import { openDatabase, type Database, type DatabaseOptions, type PostgresOptions } from './db/database.ts';
import { migrate, requireSchema } from './db/migrate.ts';
import { refuseMoved } from './db/moved.ts';
import { openPreparedDatabase } from './db/prepared.ts';
import type { Tables } from './db/tables.ts';
import type { ReleaseStack } from './kernel/release-stack.ts';
import { createEpisodes } from './monitoring/episodes.ts';
import type { Logger } from './monitoring/log.ts';

/**
 * Opens the database of record, waiting for a server that does not answer. `serve` brings the schema up to date; single roles refuse an
 * older or a newer one by name.
 * @param options.evenMoved opens a data folder whose database was moved away
 */
export async function openPlatformDatabase(
  config: Config,
  log: Logger,
  stack: ReleaseStack,
  patience: StartPatience,
  options: { readonly evenMoved?: boolean } = {},
): Promise<Database> {
  const onError = createEpisodes((error, while_) => log.error({ error, while: while_ }, 'the database failed'));
  if (config.database.driver === 'postgres') {
    const database = await openServer({ ...config.database, onError }, patience);
    stack.push('database', () => database.close());
    if (config.role === 'serve') await migrateServer(config.database, patience);
    else await requireSchema(database);
    return database;
  }
  const { directory } = config.database;
  const lock = await lockDataDirectory(config.dataDirectory);
  stack.push('data folder lock', () => lock.release());
  if (!options.evenMoved) await refuseMoved(config.dataDirectory);
  const database = await openPreparedDatabase(directory, { onError });
  stack.push('database', () => database.close());
  if (lock.unclean) await takeOver(database, log);
  return database;
}

/** A PostgreSQL server, as soon as it answers. */
export async function openServer(
  options: PostgresOptions & Pick<DatabaseOptions, 'onError'>,
  patience: StartPatience,
): Promise<Database> {
  return openPart(
    {
      name: nameDatabase(options),
      open: () => openDatabase(options),
      close: (database) => database.close(),
      mayPass: isConnectionFailure,
    },
    patience,
  );
}

/**
 * Brings the schema of a PostgreSQL database up to date, over connections without a statement time-out: a migration may take long, and so
 * may the wait for another process that migrates. @returns the names of the migrations that this call applied
 */
export async function migrateServer(options: PostgresOptions, patience: StartPatience): Promise<readonly string[]> {
  const database = await openServer({ ...options, maxConnections: 2, statementTimeoutMs: 0 }, patience);
  try {
    return await migrate(database);
  } finally {
    await database.close();
  }
}

/**
 * After the death of the only server on this folder. Its leases are nobody's: they end now instead of in their time. And because the
 * embedded engine never calls fsync, a power loss may have taken a send mark with it, so every submit asks Kling first.
 */
async function takeOver(database: Database, log: Logger): Promise<void> {
  await freeWork(database.kysely);
  const result = await database.kysely
    .updateTable('attempts')
    .set({ look_first: true })
    .where('state', 'in', ['intended', 'sent', 'doubtful'])
    .executeTakeFirst();
  const attempts = Number(result.numUpdatedRows);
  log.warn({ attempts }, 'the last server did not stop cleanly: what it had in hand is taken up again');
}

/** What nobody has in hand any more is free at once, and its messages are published again. */
export async function freeWork(kysely: Kysely<Tables>): Promise<void> {
  const free = { lease_until: null, published_at: null, publishes: 0 };
  await kysely.updateTable('files').set(free).where('state', '=', 'pending').execute();
  await kysely.updateTable('deliveries').set(free).where('state', '=', 'pending').execute();
  await kysely
    .updateTable('attempts')
    .set({ look_lease_until: null })
    .where('look_lease_until', 'is not', null)
    .execute();
  await kysely.updateTable('attempts').set(free).where('state', 'in', ['intended', 'sent', 'doubtful']).execute();
}
