import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { PostgresDialect } from 'kysely';
import { Pool, type PoolClient } from 'pg';
import { asError } from '../kernel/errors.ts';
import type { Database, OpenedDriver, PostgresOptions } from './database.ts';

/** A paused process must not keep its locks for longer than this. */
const idleInTransactionMs = 60_000;
const usualConnectTimeoutMs = 10_000;
/** How much later than the server we give up a statement ourselves: then the server is not there any more. */
const silenceMs = 5_000;

/** Connects to a PostgreSQL server (13 or newer). Connections that break are replaced when they are needed next. */
export async function openPostgres(options: PostgresOptions, onError: Database['onError']): Promise<OpenedDriver> {
  const { statementTimeoutMs = 0 } = options;
  const pool = new Pool({
    ...(await connectionOptions(options)),
    max: options.maxConnections,
    connectionTimeoutMillis: options.connectTimeoutMs ?? usualConnectTimeoutMs,
    idle_in_transaction_session_timeout: idleInTransactionMs,
    ...(statementTimeoutMs > 0 && { statement_timeout: statementTimeoutMs }),
    application_name: 'dailies',
    keepAlive: true,
  });
  // Without a listener, an idle connection that breaks would end the process.
  pool.on('error', (error) => onError(error, 'a PostgreSQL connection was idle'));
  // Nor may one that breaks between two statements of a transaction: the next statement tells its caller.
  pool.on('connect', (client) => client.on('error', () => undefined));
  if (statementTimeoutMs > 0) breakSilentConnections(pool, statementTimeoutMs + silenceMs);
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

/**
 * A server that vanished without a word (a pulled cable, a fail-over) leaves connections that look alive for many minutes. The server
 * ends a statement in its time, so a connection in use that stays silent for longer is dead.
 */
function breakSilentConnections(pool: Pool, afterMs: number): void {
  const socketOf = (client: PoolClient) => client.connection.stream as Socket; // of a server, with or without TLS
  pool.on('connect', (client) => {
    const socket = socketOf(client);
    socket.on('timeout', () => {
      const error = new Error(`PostgreSQL did not answer within ${afterMs} ms`);
      socket.destroy(Object.assign(error, { code: 'ETIMEDOUT' }));
    });
  });
  pool.on('acquire', (client) => void socketOf(client).setTimeout(afterMs));
  pool.on('release', (_error, client) => void socketOf(client).setTimeout(0));
}

/** What DATABASE_TLS says wins over the URL, whose TLS parameters are then left out: the client would prefer them. */
async function connectionOptions(
  options: PostgresOptions,
): Promise<{ connectionString: string; ssl?: ConnectionOptions | false }> {
  const { url, caFile } = options;
  const tls = options.tls ?? (caFile ? 'verify' : null);
  if (tls === null) return { connectionString: url.reveal() };
  const parsed = new URL(url.reveal());
  const certificate = await readParameterFile(parsed, 'sslcert');
  const key = await readParameterFile(parsed, 'sslkey');
  for (const name of ['ssl', 'sslmode', 'sslrootcert', 'uselibpqcompat']) parsed.searchParams.delete(name);
  const connectionString = parsed.href;
  if (tls === 'off') return { connectionString, ssl: false };
  const ours = { ...(certificate && { cert: certificate }), ...(key && { key }) };
  if (tls === 'require') return { connectionString, ssl: { ...ours, rejectUnauthorized: false } };
  const ca = caFile ? await readNamed(caFile, 'DATABASE_CA_FILE') : undefined;
  return { connectionString, ssl: { ...ours, ...(ca && { ca }), rejectUnauthorized: true } };
}

async function readParameterFile(url: URL, name: string): Promise<Buffer | undefined> {
  const file = url.searchParams.get(name);
  url.searchParams.delete(name);
  return file === null ? undefined : readNamed(file, `${name} of DATABASE_URL`);
}

async function readNamed(file: string, variable: string): Promise<Buffer> {
  return readFile(file).catch((error: unknown) => {
    throw new Error(`The file of ${variable} cannot be read: ${asError(error).message}`, { cause: error });
  });
}
