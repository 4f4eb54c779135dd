/**
 * Slots: tasks in flight per pool (account x model version x pack type), the scarce thing (Kling concurrency rules). Taken
 * by compare-and-set and given back in the transaction that ends the attempt, so that `in_use` never exceeds what the
 * pool has, across all processes (invariant 3).
 */
import { sql, type Kysely, type Transaction } from 'kysely';
import type { Generation } from '../catalog/request.ts';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import { inTransaction } from '../db/transaction.ts';
import { familyId, type Family } from './families.ts';

/** How long a paused account or pool waits before one trial create. */
const trialIntervalMs = 5 * 60_000;

export interface TakenSlot {
  readonly poolId: string;
  readonly accountId: string;
  readonly host: string;
  readonly generations: readonly Generation[];
}

/**
 * Takes one slot of a pool that can serve the family, the least loaded first; none while the family has nothing to start. A paused account or pool gives one slot for a
 * trial whenever its trial time has come; who waited for another's trial reads the new time and gets none.
 */
export async function takeSlot(trx: Transaction<Tables>, family: Family): Promise<TakenSlot | undefined> {
  const { rows } = await sql<TakenSlot>`
    with candidate as (
      select pool.id, pool.paused_at is not null as pool_trial, account.paused_at is not null as account_trial
      from pools pool join accounts account on account.id = pool.account_id
      where account.provider = ${family.provider}
        and exists (select 1 from flows where flows.family_id = ${familyId(family)} and flows.eligible)
        and pool.model in (${family.model}, '*') and pool.pack_type = ${family.packType}
        and (${family.needs}::text is null or ${family.needs}::text = any(account.generations))
        and pool.in_use < least(pool.capacity, pool.effective)
        and (pool.paused_at is null or pool.trial_at <= dailies_now())
        and (pool.not_before is null or pool.not_before <= dailies_now())
        and (account.paused_at is null or account.trial_at <= dailies_now())
        and (account.not_before is null or account.not_before <= dailies_now())
      order by (pool.paused_at is not null or account.paused_at is not null),
        pool.in_use::float8 / least(pool.capacity, pool.effective), pool.id
      limit 1
    ), trial as (
      update accounts set trial_at = dailies_now() + ${trialIntervalMs} * interval '1 millisecond'
      from candidate, pools where candidate.account_trial and pools.id = candidate.id and accounts.id = pools.account_id
        and accounts.trial_at <= dailies_now()
      returning accounts.id
    )
    update pools set in_use = in_use + 1,
      trial_at = case when candidate.pool_trial
        then dailies_now() + ${trialIntervalMs} * interval '1 millisecond' else pools.trial_at end
    from candidate, accounts account
    where pools.id = candidate.id and account.id = pools.account_id
      and pools.in_use < least(pools.capacity, pools.effective)
      and (not candidate.account_trial or exists (select 1 from trial))
      and (not candidate.pool_trial or pools.trial_at <= dailies_now())
    returning pools.id as "poolId", pools.account_id as "accountId", account.host, account.generations`.execute(trx);
  return rows[0];
}

/**
 * Whether the family has work that may start and a pool with room, read without a lock. After a commit a "no" is safe to act on:
 * whoever frees a slot later looks for work after its own commit, and sees ours.
 */
export async function mayStart(kysely: Kysely<Tables>, family: Family): Promise<boolean> {
  const { rows } = await sql<{ may: boolean }>`
    select exists (select 1 from flows where flows.family_id = ${familyId(family)} and flows.eligible) and exists (
      select 1 from pools pool join accounts account on account.id = pool.account_id
      where account.provider = ${family.provider} and pool.pack_type = ${family.packType}
        and pool.model in (${family.model}, '*') and pool.in_use < least(pool.capacity, pool.effective)) as may`.execute(
    kysely,
  );
  return rows[0]?.may ?? false;
}

export async function freeSlot(trx: Transaction<Tables>, poolId: string): Promise<void> {
  await trx
    .updateTable('pools')
    .set({ in_use: sql`greatest(in_use - 1, 0)` })
    .where('id', '=', poolId)
    .execute();
}

/** Families with work waiting that a free slot of this pool could serve; in random order, because the first one asked takes it. */
export async function listFamiliesOf(kysely: Kysely<Tables>, poolId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select family.id from families family, pools pool join accounts account on account.id = pool.account_id
    where pool.id = ${poolId} and family.provider = account.provider and family.pack_type = pool.pack_type
      and pool.model in (family.model, '*') and (family.needs is null or family.needs = any(account.generations))
      and exists (select 1 from flows where flows.family_id = family.id and flows.eligible)
    order by random()`.execute(kysely);
  return rows.map((row) => row.id);
}

/** Every family with work that may start, in random order like `listFamiliesOf`. */
export async function listWaitingFamilies(kysely: Kysely<Tables>): Promise<string[]> {
  const rows = await kysely
    .selectFrom('flows')
    .select('family_id')
    .where('eligible', '=', true)
    .groupBy('family_id')
    .orderBy(sql`random()`)
    .execute();
  return rows.map((row) => row.family_id);
}

/**
 * Sets `in_use` to the number of attempts that hold a slot. The pool is locked first and counted by a second
 * statement: a count from before the lock would miss a dispatch that was just committing, and overshoot.
 * @returns ids of pools that were wrong
 */
export async function reconcileSlots(database: Database): Promise<string[]> {
  const mended: string[] = [];
  const pools = await database.kysely.selectFrom('pools').select('id').execute();
  for (const { id } of pools) {
    await inTransaction(database, async ({ trx }) => {
      const pool = await trx.selectFrom('pools').select('in_use').where('id', '=', id).forUpdate().executeTakeFirst();
      const { held } = await trx
        .selectFrom('attempts')
        .select(sql<number>`count(*)::int`.as('held'))
        .where('pool_id', '=', id)
        .where('holds_slot', '=', true)
        .executeTakeFirstOrThrow();
      if (!pool || pool.in_use === held) return;
      await trx.updateTable('pools').set({ in_use: held }).where('id', '=', id).execute();
      mended.push(id);
    });
  }
  return mended;
}
