/** What Kling's refusals do to accounts and pools (docs/guarantees.md), and how they come back. */
import { sql, type Kysely, type Transaction } from 'kysely';
import { databaseNow, databaseNowPlus } from '../db/now.ts';
import type { Tables } from '../db/tables.ts';
import { backoffMs, type Backoff } from '../kernel/retry.ts';

type Handle = Kysely<Tables> | Transaction<Tables>;

/** 1303: 1 s x 2^k, at most a minute. */
const limitedBackoff: Backoff = { baseMs: 2_000, capMs: 60_000 };
/** 1302: the whole account slows down. */
const slowBackoff: Backoff = { baseMs: 2_000, capMs: 60_000 };
const trialAfterMs = 5 * 60_000;
const quietMinuteMs = 60_000;

export interface Pause {
  /** Stable word for operators: Kling's code, or `http_404`. */
  readonly reason: string;
  readonly detail: string;
}

/** Stops an account until an operator resumes it, its credentials change, or a trial succeeds. True if it was running. */
export async function pauseAccount(handle: Handle, accountId: string, pause: Pause): Promise<boolean> {
  const result = await handle
    .updateTable('accounts')
    .set(pausedNow(pause))
    .where('id', '=', accountId)
    .where('paused_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** The same for one pool. */
export async function pausePool(handle: Handle, poolId: string, pause: Pause): Promise<boolean> {
  const result = await handle
    .updateTable('pools')
    .set(pausedNow(pause))
    .where('id', '=', poolId)
    .where('paused_at', 'is', null)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** 1302: no create of this account before a common time, in all processes. @returns that time's distance in ms */
export async function slowAccount(
  handle: Handle,
  accountId: string,
  retryAfterMs: number | null,
  random: number,
): Promise<number> {
  const { limited_count: count } = await handle
    .updateTable('accounts')
    .set({ limited_count: sql`limited_count + 1` })
    .where('id', '=', accountId)
    .returning('limited_count')
    .executeTakeFirstOrThrow();
  const waitMs = retryAfterMs ?? backoffMs(slowBackoff, count - 1, random);
  await handle
    .updateTable('accounts')
    .set({ not_before: sql<Date>`greatest(not_before, ${databaseNowPlus(waitMs)})` })
    .where('id', '=', accountId)
    .execute();
  return waitMs;
}

/** 1303: the pool waits and, from then on, has one slot less than it was using until it is known who uses the others. */
export async function backOffPool(handle: Handle, poolId: string, random: number): Promise<void> {
  const { limited_count: count } = await handle
    .updateTable('pools')
    .set({ limited_count: sql`limited_count + 1`, grow_at: databaseNowPlus(quietMinuteMs) })
    .where('id', '=', poolId)
    .returning('limited_count')
    .executeTakeFirstOrThrow();
  const waitMs = backoffMs(limitedBackoff, count - 1, random);
  await handle
    .updateTable('pools')
    .set({ not_before: sql<Date>`greatest(not_before, ${databaseNowPlus(waitMs)})` })
    .where('id', '=', poolId)
    .execute();
}

/** Shrinks a pool by the slots that others use on the account; never below one. */
export async function setForeignUse(handle: Handle, poolId: string, foreign: number): Promise<void> {
  await handle
    .updateTable('pools')
    .set({ effective: sql`greatest(capacity - ${foreign}, 1)`, grow_at: databaseNowPlus(quietMinuteMs) })
    .where('id', '=', poolId)
    .execute();
}

/** One slot more per quiet minute, up to the capacity. @returns pools that grew */
export async function growPools(handle: Handle): Promise<string[]> {
  const rows = await handle
    .updateTable('pools')
    .set({ effective: sql`effective + 1`, grow_at: databaseNowPlus(quietMinuteMs) })
    .whereRef('effective', '<', 'capacity')
    .where(sql<boolean>`grow_at <= dailies_now()`)
    .returning('id')
    .execute();
  return rows.map((row) => row.id);
}

/** A create was accepted: whatever was paused or slowed works again. */
export async function clearLimits(
  handle: Handle,
  slot: { readonly accountId: string; readonly poolId: string },
): Promise<void> {
  await handle
    .updateTable('accounts')
    .set({ ...resumed, limited_count: 0 })
    .where('id', '=', slot.accountId)
    .where(sql<boolean>`(paused_at is not null or limited_count > 0)`)
    .execute();
  await handle
    .updateTable('pools')
    .set({ ...resumed, limited_count: 0 })
    .where('id', '=', slot.poolId)
    .where(sql<boolean>`(paused_at is not null or limited_count > 0)`)
    .execute();
}

export const resumed = { paused_at: null, pause_reason: null, pause_detail: null, trial_at: null } as const;

function pausedNow(pause: Pause) {
  return {
    paused_at: databaseNow,
    pause_reason: pause.reason,
    pause_detail: pause.detail,
    trial_at: databaseNowPlus(trialAfterMs),
  };
}
