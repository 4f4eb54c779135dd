import { PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import type { Database, OpenedDriver, PostgresOptions } from './database.ts';

/** A paused process must not keep its locks for longer than this. */
const idleInTransactionMs = 60_000;
const connectTimeoutMs = 10_000;

/** Connects to a PostgreSQL server (13 or newer). */
export async function openPostgres(options: PostgresOptions, onError: Database['onError']): Promise<OpenedDriver> {
  const pool = new Pool({
    connectionString: options.url.reveal(),
    max: options.maxConnections,
    connectionTimeoutMillis: connectTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    application_name: 'dailies',
    keepAlive: true,
  });
  // Without a listener, an idle connection that breaks would end the process.
  pool.on('error', (error) => onError(error, 'a PostgreSQL connection was idle'));
  // Nor may one that breaks between two statements of a transaction: the next statement tells its caller.
  pool.on('connect', (client) => client.on('error', () => undefined));
  try {
    await pool.query('select 1');
  } catch (error) {
    await pool.end();
    throw error;
  }
  return {
    dialect: new PostgresDialect({ pool }),
    native: { pool },
    // Kysely ends the pool only if it has used it.
    close: async () => (pool.ended ? undefined : pool.end()),
  };
}
