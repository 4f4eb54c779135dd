import { sql, type Kysely, type Transaction } from 'kysely';
import { databaseNow } from '../db/now.ts';
import type { Generation } from '../catalog/request.ts';
import type { Database } from '../db/database.ts';
import type { Provider, Tables } from '../db/tables.ts';
import { inTransaction } from '../db/transaction.ts';
import { resumed } from './limits.ts';
import type { PoolRecord } from './pools.ts';

/** What a worker says about an account that it holds: no secret. */
export interface RegisteredAccount {
  readonly id: string;
  readonly provider: Provider;
  readonly host: string;
  readonly generations: readonly Generation[];
  /** Changes with the credentials, so that a pause ends when they are mended. */
  readonly credentialsFingerprint: string;
  readonly capacity: number;
  /** Canonical models that its credentials reach; `['*']` where Kling counts slots per pack only. */
  readonly models: readonly string[];
  readonly packType: string;
}

/**
 * Writes the account and its pools. A changed capacity drains: tasks above it run on and no new one starts. Pools of models that
 * are no longer offered stay for the attempts that point at them.
 */
export async function registerAccount(database: Database, account: RegisteredAccount): Promise<void> {
  const { id, provider, host, credentialsFingerprint: fingerprint } = account;
  const generations = [...account.generations];
  await inTransaction(database, async ({ trx }) => {
    const fields = { provider, host, generations, credentials_fingerprint: fingerprint };
    // Workers that start at once insert one row; the others wait here for it, and then for its lock.
    await trx
      .insertInto('accounts')
      .values({ id, ...fields, pause_reason: null, pause_detail: null })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    const known = await trx
      .selectFrom('accounts')
      .select('credentials_fingerprint')
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const mended = known.credentials_fingerprint === fingerprint ? {} : resumed;
    const seen = { ...fields, ...mended, seen_at: databaseNow };
    await trx.updateTable('accounts').set(seen).where('id', '=', id).execute();
    for (const model of account.models) await upsertPool(trx, account, model);
  });
}

async function upsertPool(trx: Transaction<Tables>, account: RegisteredAccount, model: string): Promise<void> {
  const { id: accountId, capacity, packType } = account;
  await trx
    .insertInto('pools')
    .values({
      id: `${accountId}/${model}/${packType}`,
      account_id: accountId,
      model,
      pack_type: packType,
      capacity,
      effective: capacity,
      pause_reason: null,
      pause_detail: null,
    })
    .onConflict((conflict) =>
      conflict.columns(['account_id', 'model', 'pack_type']).doUpdateSet({
        capacity,
        // A pool that had its full capacity keeps having it; one that was shrunk keeps what was learned.
        effective: sql`case when pools.effective >= pools.capacity then ${capacity}::int
          else least(pools.effective, ${capacity}::int) end`,
      }),
    )
    .execute();
}

/** The generations that any registered account of the provider can use; null while none has registered. */
export async function listGenerations(kysely: Kysely<Tables>, provider: Provider): Promise<Generation[] | null> {
  const rows = await kysely.selectFrom('accounts').select('generations').where('provider', '=', provider).execute();
  return rows.length === 0 ? null : [...new Set(rows.flatMap((row) => row.generations))];
}

/** `listGenerations` at most `freshMs` old, because every create asks. */
export function createGenerationsReader(
  kysely: Kysely<Tables>,
  provider: Provider,
  monotonicMs: () => number,
  freshMs = 1_000,
): () => Promise<readonly Generation[] | null> {
  let known: { readonly at: number; readonly value: readonly Generation[] | null } | undefined;
  return async () => {
    if (known && monotonicMs() - known.at < freshMs) return known.value;
    const value = await listGenerations(kysely, provider);
    known = { at: monotonicMs(), value };
    return value;
  };
}

/** All pools of the provider, for operators. */
export async function listPools(kysely: Kysely<Tables>, provider: Provider): Promise<PoolRecord[]> {
  const rows = await kysely
    .selectFrom('pools')
    .innerJoin('accounts', 'accounts.id', 'pools.account_id')
    .selectAll('pools')
    .select(['accounts.paused_at as account_paused_at', 'accounts.pause_reason as account_pause_reason'])
    .where('accounts.provider', '=', provider)
    .orderBy('pools.id')
    .execute();
  return rows.map((row) => {
    const since = row.account_paused_at ?? row.paused_at;
    const reason = row.account_paused_at ? row.account_pause_reason : row.pause_reason;
    return {
      id: row.id,
      accountId: row.account_id,
      model: row.model,
      packType: row.pack_type,
      capacity: row.capacity,
      effective: row.effective,
      inUse: row.in_use,
      paused: since ? { reason: reason ?? 'unknown', since } : null,
    };
  });
}
