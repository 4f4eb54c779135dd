import { sql } from 'kysely';
import { expect } from 'vitest';
import type { Database } from '../../src/db/database.ts';

/**
 * Invariant 4: every booking and the whole ledger sum to zero; a hold is open exactly while the video's money is
 * undecided; budgets are what the ledger says.
 */
export async function assertMoney(database: Database): Promise<void> {
  const { kysely } = database;
  const unbalanced = await sql<{ transaction_id: string }>`
    select transaction_id from ledger_entries group by transaction_id having sum(amount) <> 0`.execute(kysely);
  expect(unbalanced.rows, 'bookings that do not sum to zero').toEqual([]);
  const holds = await sql<{ id: string; state: string; hold: string; held: string; undecided: boolean }>`
    select id, state, hold_credits::text as hold, held::text as held, undecided from (
      select videos.id, videos.state, videos.hold_credits, videos.estimated_credits,
        videos.state in ('queued', 'submitting', 'generating')
          or exists (select 1 from attempts where attempts.video_id = videos.id and attempts.holds_slot) as undecided,
        coalesce((select sum(amount) from ledger_entries
          where ledger_entries.video_id = videos.id and account = 'held'), 0) as held
      from videos) seen
    where held <> hold_credits or hold_credits <> case when undecided then estimated_credits else 0 end`.execute(
    kysely,
  );
  expect(holds.rows, 'videos whose hold is not what it should be').toEqual([]);
  const budgets = await sql<{ scope: string }>`
    select * from (
      select scope, held_credits, captured_credits,
        (select coalesce(sum(amount), 0) from ledger_entries where workspace_id = scope and account = 'held') as held,
        (select coalesce(sum(amount), 0) from ledger_entries where workspace_id = scope and account = 'captured') as captured
      from budgets) seen
    where held_credits <> held or captured_credits <> captured`.execute(kysely);
  expect(budgets.rows, 'budgets that differ from the ledger').toEqual([]);
  const charges = await sql<{ id: string }>`
    select id from videos where coalesce(charged_credits, 0) <> coalesce(
      (select sum(amount) from ledger_entries where video_id = videos.id and account = 'captured'), 0)`.execute(kysely);
  expect(charges.rows, 'videos whose charge differs from the ledger').toEqual([]);
}

/** Invariant 3: slots in use are the attempts that hold one, within the pool's capacity; flows count what is there. */
export async function assertSlots(database: Database): Promise<void> {
  const { kysely } = database;
  const pools = await sql<{ id: string; in_use: number; held: number }>`
    select id, in_use, held from (
      select id, in_use, capacity, (select count(*)::int from attempts where pool_id = pools.id and holds_slot) as held
      from pools) seen
    where in_use <> held or in_use > capacity`.execute(kysely);
  expect(pools.rows, 'pools whose slots are miscounted').toEqual([]);
  const flows = await sql<{ family_id: string }>`
    select * from (
      select family_id, workspace_id, queued, in_flight, queued_slot_ms::float8 as slot_ms,
        (select count(*)::int from videos where state = 'queued'
          and videos.family_id = flows.family_id and videos.workspace_id = flows.workspace_id) as real_queued,
        (select coalesce(sum(expected_ms), 0)::float8 from videos where state = 'queued'
          and videos.family_id = flows.family_id and videos.workspace_id = flows.workspace_id) as real_slot_ms,
        (select count(*)::int from attempts where holds_slot
          and attempts.family_id = flows.family_id and attempts.workspace_id = flows.workspace_id) as real_in_flight
      from flows) seen
    where queued <> real_queued or in_flight <> real_in_flight or slot_ms <> real_slot_ms`.execute(kysely);
  expect(flows.rows, 'flows that are miscounted').toEqual([]);
}

/** Both, after a step. */
export async function assertBooks(database: Database): Promise<void> {
  await assertMoney(database);
  await assertSlots(database);
}
