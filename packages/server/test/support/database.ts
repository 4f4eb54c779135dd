import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import pg from 'pg';
import { openDatabase, type Database } from '../../src/db/database.ts';
import { migrate } from '../../src/db/migrate.ts';
import { preparedTemplate } from '../../src/db/prepared.ts';
import { Secret } from '../../src/kernel/secret.ts';

/** A server on which tests may create databases; the embedded engine when unset. */
const serverUrl = process.env['TEST_DATABASE_URL'];
/** Set by the global setup. */
const templateName = process.env['DAILIES_TEST_TEMPLATE'];

/** An empty, migrated database of its own for one test or file. Errors without a caller fail the next close. */
export async function openTestDatabase(): Promise<Database> {
  return serverUrl ? openPostgresTestDatabase(serverUrl) : openPgliteTestDatabase();
}

export async function openPgliteTestDatabase(): Promise<Database> {
  return collectingErrors(async (onError) =>
    openDatabase({ driver: 'pglite', directory: null, template: await preparedTemplate(), onError }),
  );
}

export async function openPostgresTestDatabase(url: string): Promise<Database> {
  const name = testDatabaseName();
  await administer(url, `create database ${name}${templateName ? ` template ${templateName}` : ''}`);
  const database = await collectingErrors((onError) =>
    openDatabase({ driver: 'postgres', url: new Secret(databaseUrl(url, name)), maxConnections: 10, onError }),
  );
  if (!templateName) await migrate(database);
  let closing: Promise<void> | undefined;
  async function closeOnce(): Promise<void> {
    try {
      await database.close();
    } finally {
      await administer(url, `drop database if exists ${name} with (force)`);
    }
  }
  return { ...database, close: () => (closing ??= closeOnce()) };
}

/** Moves the clock of all stored times; forwards only. */
export async function advanceClock(database: Database, ms: number): Promise<void> {
  await sql`update clock set offset_ms = offset_ms + ${ms}`.execute(database.kysely);
}

/** Creates the migrated database that the others are copied from. */
export async function createTemplateDatabase(url: string): Promise<{ name: string; drop(): Promise<void> }> {
  const name = testDatabaseName();
  await administer(url, `create database ${name}`);
  const database = await openDatabase({
    driver: 'postgres',
    url: new Secret(databaseUrl(url, name)),
    maxConnections: 2,
  });
  try {
    await migrate(database);
  } finally {
    await database.close();
  }
  return { name, drop: () => administer(url, `drop database if exists ${name} with (force)`) };
}

function testDatabaseName(): string {
  return `dailies_test_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
}

function databaseUrl(url: string, name: string): string {
  const parsed = new URL(url);
  parsed.pathname = `/${name}`;
  return parsed.href;
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

async function collectingErrors(open: (onError: (error: Error) => void) => Promise<Database>): Promise<Database> {
  const errors: Error[] = [];
  const database = await open((error) => void errors.push(error));
  return {
    ...database,
    async close() {
      await database.close();
      if (errors.length > 0) throw new AggregateError(errors, 'The database reported errors that nobody caught.');
    },
  };
}
