import type { PGlite } from '@electric-sql/pglite';
import { Kysely, type Dialect } from 'kysely';
import type { Pool } from 'pg';
import type { Secret } from '../kernel/secret.ts';
import type { Tables } from './tables.ts';
import { createTransactionGuard, type TransactionGuard } from './transaction-guard.ts';

/** Where the truth is kept. The same SQL runs on both drivers, and both read every column type alike. */
export type DatabaseOptions = DatabaseReporting & (PgliteOptions | PostgresOptions);

interface DatabaseReporting {
  /** Told about failures that have no caller: an idle connection that broke, a callback that threw after a commit. */
  readonly onError?: (error: Error, while_: string) => void;
}

export interface PgliteOptions {
  readonly driver: 'pglite';
  /** The cluster's folder, created when missing; null keeps everything in memory. */
  readonly directory: string | null;
  /** A dumped cluster that a new one starts from; without it a new cluster is initialised, which takes seconds. */
  readonly template?: Blob | null;
}

export interface PostgresOptions {
  readonly driver: 'postgres';
  readonly url: Secret;
  readonly maxConnections: number;
  /** Null or left out: what `sslmode` in the URL says. */
  readonly tls?: 'off' | 'require' | 'verify' | null;
  /** Certificates (PEM) that the server's must lead to. */
  readonly caFile?: string | null;
  /** Longest wait for a connection. */
  readonly connectTimeoutMs?: number;
  /** Longest time of one statement; the server then ends it. */
  readonly statementTimeoutMs?: number;
}

/** The engine itself, for what needs its own connection (queue engine, LISTEN). */
export type NativeDatabase = { readonly pglite: PGlite } | { readonly pool: Pool };

export interface Database {
  readonly driver: 'pglite' | 'postgres';
  /** The outer handle; refused inside a transaction. */
  readonly kysely: Kysely<Tables>;
  readonly native: NativeDatabase;
  readonly guard: TransactionGuard;
  readonly onError: (error: Error, while_: string) => void;
  /** Waits for running queries, then lets go of every connection. Safe to call twice. */
  close(): Promise<void>;
}

/** What a driver file hands to `openDatabase`. */
export interface OpenedDriver {
  readonly dialect: Dialect;
  readonly native: NativeDatabase;
  close(): Promise<void>;
}

/**
 * Connects and proves it with one query. It neither migrates nor checks the schema: see migrate.ts.
 * @throws Error when the server or the folder cannot be used; it never contains the password
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const onError = options.onError ?? (() => {});
  const opened = await openDriver(options, onError);
  const guard = createTransactionGuard();
  const kysely = new Kysely<Tables>({ dialect: opened.dialect, plugins: [guard.plugin] });
  let closing: Promise<void> | undefined;
  async function closeOnce(): Promise<void> {
    await kysely.destroy();
    await opened.close();
  }
  return {
    driver: options.driver,
    kysely,
    native: opened.native,
    guard,
    onError,
    close: () => (closing ??= closeOnce()),
  };
}

async function openDriver(options: DatabaseOptions, onError: Database['onError']): Promise<OpenedDriver> {
  switch (options.driver) {
    case 'pglite': {
      const { openPglite } = await import('./pglite.ts');
      return openPglite(options);
    }
    case 'postgres': {
      const { openPostgres } = await import('./postgres.ts');
      return openPostgres(options, onError);
    }
    default:
      throw new Error(`unknown database driver ${JSON.stringify(options satisfies never)}`);
  }
}
