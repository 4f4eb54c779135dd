import type { Config } from './config.ts';
import { lockDataDirectory } from './db/data-directory-lock.ts';
import { openDatabase, type Database } from './db/database.ts';
import { migrate, requireSchema } from './db/migrate.ts';
import { openPreparedDatabase } from './db/prepared.ts';
import type { ReleaseStack } from './kernel/release-stack.ts';
import type { Logger } from './monitoring/log.ts';

/** Opens the database of record; `serve` brings the schema up to date, single roles refuse an older one by name. */
export async function openPlatformDatabase(config: Config, log: Logger, stack: ReleaseStack): Promise<Database> {
  const onError = (error: Error, while_: string) => log.error({ error, while: while_ }, 'the database failed');
  if (config.database.driver === 'postgres') {
    const database = await openDatabase({ ...config.database, onError });
    stack.push('database', () => database.close());
    if (config.role === 'serve') await migrate(database);
    else await requireSchema(database);
    return database;
  }
  const { directory } = config.database;
  const lock = await lockDataDirectory(config.dataDirectory);
  stack.push('data folder lock', () => lock.release());
  const database = await openPreparedDatabase(directory, { onError });
  stack.push('database', () => database.close());
  if (lock.unclean) await takeOver(database, log);
  return database;
}

/**
 * After the death of the only server on this folder. Its leases are nobody's: they end now instead of in their time. And because the
 * embedded engine never calls fsync, a power loss may have taken a send mark with it, so every submit asks Kling first.
 */
async function takeOver(database: Database, log: Logger): Promise<void> {
  const free = { lease_until: null, published_at: null, publishes: 0 };
  const { kysely } = database;
  await kysely.updateTable('files').set(free).where('state', '=', 'pending').execute();
  await kysely.updateTable('deliveries').set(free).where('state', '=', 'pending').execute();
  await kysely
    .updateTable('attempts')
    .set({ look_lease_until: null })
    .where('look_lease_until', 'is not', null)
    .execute();
  const result = await kysely
    .updateTable('attempts')
    .set({ ...free, look_first: true })
    .where('state', 'in', ['intended', 'sent', 'doubtful'])
    .executeTakeFirst();
  const attempts = Number(result.numUpdatedRows);
  log.warn({ attempts }, 'the last server did not stop cleanly: what it had in hand is taken up again');
}
