import { AsyncLocalStorage } from 'node:async_hooks';
import type { KyselyPlugin } from 'kysely';

/**
 * Refuses the outer database handle inside a transaction. On PGlite, which has one connection, such a query would wait
 * for its own transaction for ever; on PostgreSQL it would run outside the transaction and can exhaust the pool. The
 * same code runs on both, so both refuse.
 */
export interface TransactionGuard {
  /** For the outer handle only; transactions shed it. */
  readonly plugin: KyselyPlugin;
  /** Runs the body of a transaction; the refusal ends with it, also for work that it left behind. */
  inside<T>(body: () => Promise<T>): Promise<T>;
  /** @throws Error naming the mistake, when called from inside a transaction of this database */
  assertOutside(): void;
}

export function createTransactionGuard(): TransactionGuard {
  const storage = new AsyncLocalStorage<{ open: boolean }>();
  function assertOutside(): void {
    if (!storage.getStore()?.open) return;
    throw new Error(
      'The database was queried through its outer handle inside a transaction: use the handle of the transaction, ' +
        'or do it in afterCommit.',
    );
  }
  return {
    plugin: {
      transformQuery({ node }) {
        assertOutside();
        return node;
      },
      transformResult: async ({ result }) => result,
    },
    async inside(body) {
      const scope = { open: true };
      try {
        return await storage.run(scope, body);
      } finally {
        scope.open = false;
      }
    },
    assertOutside,
  };
}
