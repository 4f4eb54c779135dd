/** Queue position and times, from the flow's own sums: never a count over the whole backlog (docs/guarantees.md). */
import { sql, type Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import { familyId, type Family } from './families.ts';

/** Exact up to here, above it "1000+". */
const exactPositions = 1_000;

export interface Waiting {
  readonly family: Family;
  readonly workspaceId: string;
  /** Null for a video that is not stored yet: it would be the last of its priority. */
  readonly videoId: string | null;
  readonly priority: number;
  readonly acceptedAt: Date | null;
  readonly expectedMs: number;
}

export interface Eta {
  /** From 1; null above 1,000. */
  readonly position: number | null;
  readonly startsInMs: number | null;
  readonly endsInMs: number | null;
}

/** Where a waiting video stands. With several workspaces waiting, those before it in turn are counted by their weights. */
export async function estimateStart(kysely: Kysely<Tables>, waiting: Waiting): Promise<Eta> {
  const { family, workspaceId, videoId, priority, acceptedAt } = waiting;
  const id = familyId(family);
  const { rows } = await sql<{
    ahead: number;
    others: number;
    mean_ms: number;
    slots: number;
    free: number;
  }>`
    with mine as (
      select weight, queued from flows where family_id = ${id} and workspace_id = ${workspaceId}
    ), counted as (
      select count(*)::int as ahead from (
        select 1 from videos where family_id = ${id} and workspace_id = ${workspaceId} and state = 'queued'
          and (priority > ${priority} or (priority = ${priority} and ${
            acceptedAt === null ? sql`true` : sql`(accepted_at, id) < (${acceptedAt}::timestamptz, ${videoId}::text)`
          }))
        -- Behind a long backlog a new video is not worth the count: its flow knows the length.
        limit (select case when ${videoId === null}::boolean and coalesce(max(queued), 0) > ${exactPositions}::int then 0
          else ${exactPositions + 1}::int end from mine)) head
    ), own as (
      select case when counted.ahead > ${exactPositions}::int or (${videoId === null}::boolean and mine.queued > ${exactPositions}::int)
        then greatest(counted.ahead, mine.queued) else counted.ahead end as ahead
      from counted left join mine on true
    ), others as (
      select coalesce(sum(least(flows.queued, ceil((own.ahead + 1) * flows.weight / coalesce(mine.weight, 1)))), 0)::int as turn
      from flows cross join own left join mine on true
      where flows.family_id = ${id} and flows.workspace_id <> ${workspaceId} and flows.eligible
    ), backlog as (
      select coalesce(sum(queued_slot_ms)::float8 / nullif(sum(queued), 0), ${waiting.expectedMs})::float8 as mean_ms
      from flows where family_id = ${id}
    ), room as (
      select coalesce(sum(least(pools.capacity, pools.effective)), 0)::int as slots,
        coalesce(sum(greatest(least(pools.capacity, pools.effective) - pools.in_use, 0)), 0)::int as free
      from pools join accounts on accounts.id = pools.account_id
      where accounts.provider = ${family.provider} and pools.pack_type = ${family.packType} and pools.model in (${family.model}, '*')
        and (${family.needs}::text is null or ${family.needs}::text = any(accounts.generations))
        and pools.paused_at is null and accounts.paused_at is null
    )
    select own.ahead, others.turn as others, backlog.mean_ms, room.slots, room.free
    from own, others, backlog, room`.execute(kysely);
  const row = rows[0];
  if (!row) return { position: 1, startsInMs: null, endsInMs: null };
  const position = row.ahead > exactPositions ? null : row.ahead + row.others + 1;
  if (row.slots === 0) return { position, startsInMs: null, endsInMs: null };
  // Slots free one after another, evenly on average: the first of `slots` busy ones after expected / slots.
  const before = row.ahead + row.others;
  const startsInMs = before < row.free ? 0 : ((before - row.free + 1) * row.mean_ms) / row.slots;
  return { position, startsInMs: Math.round(startsInMs), endsInMs: Math.round(startsInMs + waiting.expectedMs) };
}
