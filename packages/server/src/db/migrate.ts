import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import type { Database } from './database.ts';
import { migrations } from './migrations/index.ts';

const migrationTable = 'schema_migrations';

/**
 * Brings the schema up to this version; safe when several processes start at once (they wait for each other).
 * @returns the names of the migrations that this call applied
 * @throws Error when a newer version of Dailies has already migrated the database
 */
export async function migrate(database: Database): Promise<readonly string[]> {
  refuseNewer(await appliedMigrations(database));
  const migrator = new Migrator({
    // Without the guard's plugin, and outside any transaction: the migrator makes its own.
    db: database.kysely.withoutPlugins(),
    provider: { getMigrations: async () => ({ ...migrations }) },
    migrationTableName: migrationTable,
    migrationLockTableName: `${migrationTable}_lock`,
  });
  const { error, results = [] } = await migrator.migrateToLatest();
  if (error) throw new Error('The database schema could not be migrated.', { cause: error });
  return results.map((result) => result.migrationName);
}

/**
 * For roles that do not migrate themselves.
 * @throws Error saying whether the schema is older or newer than this version needs, and what to do
 */
export async function requireSchema(database: Database): Promise<void> {
  const applied = await appliedMigrations(database);
  refuseNewer(applied);
  const missing = Object.keys(migrations).filter((name) => !applied.includes(name));
  if (missing.length > 0) {
    throw new Error(
      `The database schema is older than this version of Dailies needs (missing: ${missing.join(', ')}). ` +
        'Run `dailies migrate` of this version on the same DATABASE_URL, then start this again.',
    );
  }
}

function refuseNewer(applied: readonly string[]): void {
  const unknown = applied.filter((name) => !Object.hasOwn(migrations, name));
  if (unknown.length === 0) return;
  throw new Error(
    `The database schema is newer than this version of Dailies (unknown: ${unknown.join(', ')}). ` +
      'Run the version that migrated it, or a later one.',
  );
}

async function appliedMigrations(database: Database): Promise<readonly string[]> {
  const present = await sql<{ present: boolean }>`select to_regclass(${migrationTable}) is not null as present`.execute(
    database.kysely,
  );
  if (!present.rows[0]?.present) return [];
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(migrationTable)} order by name`.execute(
    database.kysely,
  );
  return rows.map((row) => row.name);
}
