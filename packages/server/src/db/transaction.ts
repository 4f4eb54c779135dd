import type { Transaction } from 'kysely';
import { pause } from '../kernel/clock.ts';
import { asError } from '../kernel/errors.ts';
import { backoffMs } from '../kernel/retry.ts';
import { CommitUnknownError, isConnectionFailure } from './connection-failure.ts';
import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

export interface TransactionContext {
  readonly trx: Transaction<Tables>;
  /**
   * Registers work for after the commit, run in order before `inTransaction` resolves; nothing of it runs when the
   * transaction rolls back. What it throws goes to the database's `onError` and never fails the caller, because the
   * commit stands.
   */
  afterCommit(callback: () => void | Promise<void>): void;
}

export interface TransactionOptions {
  /** How often the whole body is run again after a serialization failure or a deadlock. */
  readonly retries?: number;
}

/** serialization_failure and deadlock_detected: the server rolled back, and the same work may succeed at once. */
const retryableCodes: ReadonlySet<unknown> = new Set(['40001', '40P01']);
const backoff = { baseMs: 5, capMs: 200 };

/**
 * Runs `work` in one transaction at read committed. `work` may run more than once, so it changes nothing but the
 * database; inside it only `context.trx` may be used, never the outer handle, HTTP or timers.
 * @throws whatever `work` throws, after the rollback; CommitUnknownError when the connection broke at the commit
 */
export async function inTransaction<T>(
  database: Database,
  work: (context: TransactionContext) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  database.guard.assertOutside();
  const { retries = 4 } = options;
  for (let tries = 0; ; tries++) {
    try {
      return await runOnce(database, work);
    } catch (error) {
      if (tries >= retries || !isRetryable(error)) throw error;
      await pause(backoffMs(backoff, tries, Math.random()));
    }
  }
}

async function runOnce<T>(database: Database, work: (context: TransactionContext) => Promise<T>): Promise<T> {
  const callbacks: (() => void | Promise<void>)[] = [];
  let isCommitting = false;
  const result = await database.kysely
    .transaction()
    .setIsolationLevel('read committed')
    .execute(async (trx) => {
      const done = await database.guard.inside(() =>
        work({ trx: trx.withoutPlugins(), afterCommit: (callback) => void callbacks.push(callback) }),
      );
      isCommitting = true;
      return done;
    })
    .catch((error: unknown) => {
      throw isCommitting && isConnectionFailure(error) ? new CommitUnknownError(error) : error;
    });
  for (const callback of callbacks) {
    try {
      await callback();
    } catch (error) {
      database.onError(asError(error), 'running a callback after a commit');
    }
  }
  return result;
}

function isRetryable(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && retryableCodes.has(error.code);
}
