/** From the embedded database of a data folder to PostgreSQL, with videos in flight, money and files. */
import { join } from 'node:path';
import { sql, type Transaction } from 'kysely';
import { patienceOf, readServerConfig, type AdminOptions } from './compose-admin.ts';
import { freeWork, migrateServer, openPlatformDatabase, openServer } from './compose-database.ts';
import { copyFiles, type CopiedFiles } from './compose-move-files.ts';
import { ConfigError, readConfig } from './config.ts';
import { hasCluster } from './db/cluster.ts';
import { CommitUnknownError } from './db/connection-failure.ts';
import { copyTables, goOnAfterEvents, listFilledTables, lockTables, type TableCount } from './db/copy-tables.ts';
import type { Database } from './db/database.ts';
import { markMoved, movedTo, unmarkMoved } from './db/moved.ts';
import type { Tables } from './db/tables.ts';
import { inTransaction } from './db/transaction.ts';
import { createReleaseStack } from './kernel/release-stack.ts';
import { createLogger } from './monitoring/log.ts';
import { openBlobStore } from './storage/open.ts';

export interface MoveOptions extends AdminOptions {
  /** Copies the files of the folder into the configured bucket, too. */
  readonly withFiles: boolean;
}

export interface Moved {
  readonly from: string;
  /** Host and name of the database, without credentials. */
  readonly to: string;
  readonly tables: readonly TableCount[];
  /** Credits by account of the ledger, equal on both sides; together they are zero. */
  readonly ledger: readonly { readonly account: string; readonly credits: string }[];
  /** Null when files stay in the folder. */
  readonly files: CopiedFiles | null;
}

/**
 * Moves a data folder whose server is stopped into the empty database of DATABASE_URL, in one transaction; the folder stays as it was, marked
 * so that no server runs on it by mistake. Interrupted, it can be run again.
 * @throws ConfigError; Error saying which side cannot be used and why
 */
export async function moveInstallation(options: MoveOptions): Promise<Moved> {
  const { env, out } = options;
  const config = readServerConfig(env, 'dailies move');
  const { storage } = config;
  if (options.withFiles && storage.driver === 'fs') {
    throw new ConfigError(['S3_BUCKET or GCS_BUCKET is needed by --files: where the files go.']);
  }
  const from = config.dataDirectory;
  const to = describeTarget(config.database.url.reveal());
  if (!(await hasCluster(join(from, 'database')))) throw new Error(`There is no embedded database in ${from}.`);
  const before = await movedTo(from);
  if (before !== null && before !== to) throw new Error(`The database of ${from} was moved to ${before} already.`);
  const patience = patienceOf(config, options);
  const stack = createReleaseStack();
  try {
    const applied = await migrateServer(config.database, patience);
    if (applied.length > 0) out(`Schema of ${to} made: ${applied.join(', ')}.`);
    const target = await openServer({ ...config.database, maxConnections: 2, statementTimeoutMs: 0 }, patience);
    stack.push('target', () => target.close());
    await refuseFilled(target, to);
    const embedded = readConfig({ DATA_DIR: from }, 'serve');
    const log = createLogger({ level: 'silent', format: 'json' });
    const source = await openPlatformDatabase(embedded, log, stack, patience, { evenMoved: true });
    const files = options.withFiles
      ? await withStore(config, (store) => copyFiles(source, embedded.storage, store, options))
      : null;
    options.signal.throwIfAborted();
    const copied = await copyDatabase(source, target, { from, to });
    return { from, to, ...copied, files };
  } finally {
    await stack.release();
  }
}

async function withStore<T>(
  { storage }: ReturnType<typeof readServerConfig>,
  work: (store: Awaited<ReturnType<typeof openBlobStore>>) => Promise<T>,
): Promise<T> {
  const store = await openBlobStore(storage);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The mark is made before the commit: should this process die between them, no server starts on either side without a word. */
async function copyDatabase(
  source: Database,
  target: Database,
  { from, to }: Pick<Moved, 'from' | 'to'>,
): Promise<Pick<Moved, 'tables' | 'ledger'>> {
  try {
    return await inTransaction(
      target,
      async ({ trx }) => {
        await lockTables(trx);
        const filled = await listFilledTables(trx);
        if (filled.length > 0) throw notEmpty(to, filled);
        const read = await source.kysely.transaction().execute(async (reading) => {
          const tables = await copyTables(reading.withoutPlugins(), trx);
          return { tables, before: await sumLedger(reading.withoutPlugins()) };
        });
        const ledger = await sumLedger(trx);
        if (JSON.stringify(ledger) !== JSON.stringify(read.before)) {
          throw new Error('The sums of the ledger differ after the copy; nothing was moved.');
        }
        await goOnAfterEvents(trx);
        await freeWork(trx);
        await markMoved(from, to);
        return { tables: read.tables, ledger };
      },
      { retries: 0 },
    );
  } catch (error) {
    // Without its answer the commit may stand, and then the folder must not be used.
    if (!(error instanceof CommitUnknownError)) await unmarkMoved(from);
    throw error;
  }
}

async function refuseFilled(target: Database, to: string): Promise<void> {
  const filled = await target.kysely.transaction().execute((trx) => listFilledTables(trx.withoutPlugins()));
  if (filled.length > 0) throw notEmpty(to, filled);
}

function notEmpty(to: string, tables: readonly string[]): Error {
  return new Error(
    `The database ${to} is not empty (${tables.join(', ')}): move makes the schema itself and needs a new database.`,
  );
}

async function sumLedger(trx: Transaction<Tables>): Promise<Moved['ledger']> {
  const { rows } = await sql<{ account: string; credits: string }>`
    select account, sum(amount)::text as credits from ledger_entries group by account order by account`.execute(trx);
  return rows;
}

function describeTarget(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
