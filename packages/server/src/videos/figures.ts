/**
 * The state of the platform in numbers, for monitoring. Everything is read from sums that are kept anyway or from small partial indexes,
 * so it costs the same with a million videos waiting as with none; only `readLedgerFigures` reads a whole table.
 */
import { sql, type Kysely, type Transaction } from 'kysely';
import type { Database } from '../db/database.ts';
import type { Provider, Tables } from '../db/tables.ts';
import { inTransaction } from '../db/transaction.ts';

export interface PoolFigures {
  readonly account: string;
  readonly model: string;
  readonly pack: string;
  readonly capacity: number;
  readonly effective: number;
  readonly inUse: number;
  readonly paused: boolean;
  /** Free slots that could be used now, while videos wait that the pool could serve. */
  readonly idle: number;
}

export interface BudgetFigures {
  readonly provider: Provider;
  readonly held: number;
  readonly captured: number;
  /** Sum of the limits; null where there is none. */
  readonly limit: number | null;
}

export interface Figures {
  readonly queued: number;
  /** Videos past the queue that are not final, and canceled ones whose task or file is still under way. */
  readonly underWay: Readonly<Record<string, number>>;
  readonly due: Readonly<Record<'submit' | 'look' | 'archive' | 'notify', number>>;
  /** Seconds; 0 when none waits. */
  readonly oldestWaitingSeconds: number;
  readonly pools: readonly PoolFigures[];
  readonly accounts: readonly { readonly id: string; readonly paused: boolean }[];
  readonly files: { readonly pending: number; readonly failing: number; readonly deadlineSeconds: number | null };
  readonly budgets: readonly BudgetFigures[];
  /** Used part of the limit, of the fullest workspaces that have one. */
  readonly fullest: readonly { readonly provider: Provider; readonly workspace: string; readonly used: number }[];
  readonly deadLetters: Readonly<Record<string, number>>;
  readonly deliveries: { readonly pending: number; readonly overdueSeconds: number };
}

export interface LedgerFigures {
  /** Sum of all entries: zero. */
  readonly sum: number;
  /** What the budgets say less what the entries say: zero. */
  readonly heldDrift: number;
  readonly capturedDrift: number;
}

/** Copies that failed so often are not a hiccup any more. */
const failingTries = 3;
const fullestMax = 20;
const keptForDays = 30;

export async function readFigures(database: Database, provider: Provider): Promise<Figures> {
  return inTransaction(database, async ({ trx }) => {
    // PostgreSQL expects far more rows of a recursion than come, and would compile for longer than it then runs.
    await sql`set local jit = off`.execute(trx);
    return read(trx, provider);
  });
}

async function read(kysely: Transaction<Tables>, provider: Provider): Promise<Figures> {
  const scalars = await readScalars(kysely);
  const states = await countUnderWay(kysely);
  const pools = await readPools(kysely, provider);
  const accounts = await kysely
    .selectFrom('accounts')
    .select(['id', sql<boolean>`paused_at is not null`.as('paused')])
    .where('provider', '=', provider)
    .execute();
  const deadLetters = await kysely
    .selectFrom('dead_letters')
    .select(['kind', sql<number>`count(*)::int`.as('count')])
    .where('dead_at', 'is not', null)
    .groupBy('kind')
    .execute();
  return {
    queued: scalars.queued,
    underWay: states,
    due: {
      submit: scalars.due_submit,
      look: scalars.due_look,
      archive: scalars.due_archive,
      notify: scalars.due_notify,
    },
    oldestWaitingSeconds: scalars.oldest_waiting,
    pools,
    accounts,
    files: { pending: scalars.files, failing: scalars.files_failing, deadlineSeconds: scalars.deadline },
    ...(await readBudgets(kysely)),
    deadLetters: Object.fromEntries(deadLetters.map(({ kind, count }) => [kind, count])),
    deliveries: { pending: scalars.deliveries, overdueSeconds: scalars.overdue },
  };
}

interface Scalars {
  readonly queued: number;
  readonly oldest_waiting: number;
  readonly due_submit: number;
  readonly due_look: number;
  readonly due_archive: number;
  readonly due_notify: number;
  readonly files: number;
  readonly files_failing: number;
  readonly deadline: number | null;
  readonly deliveries: number;
  readonly overdue: number;
}

/**
 * The oldest waiting video without a scan of the backlog: `videos_next` is asked for the priorities of each waiting flow one after
 * the other (there are 21), and for the oldest of each.
 */
async function readScalars(kysely: Transaction<Tables>): Promise<Scalars> {
  const { rows } = await sql<Scalars>`
    with recursive level as (
      select flow.family_id, flow.workspace_id, (select priority from videos video where video.family_id = flow.family_id
        and video.workspace_id = flow.workspace_id and video.state = 'queued' order by priority desc limit 1) as priority
      from flows flow where flow.queued > 0
      union all
      select level.family_id, level.workspace_id, (select video.priority from videos video
        where video.family_id = level.family_id and video.workspace_id = level.workspace_id and video.state = 'queued'
        and video.priority < level.priority order by video.priority desc limit 1)
      from level where level.priority is not null
    ), oldest as (
      select min((select accepted_at from videos video where video.family_id = level.family_id
        and video.workspace_id = level.workspace_id and video.state = 'queued' and video.priority = level.priority
        order by accepted_at limit 1)) as at
      from level where level.priority is not null
    ), file as (
      select count(*)::int as pending, count(*) filter (where tries >= ${failingTries} and last_error is not null)::int as failing,
        extract(epoch from min(greatest(source_expires_at, created_at + ${keptForDays} * interval '1 day')) - dailies_now())::float8 as deadline,
        count(*) filter (where due_at <= dailies_now())::int as due
      from files where due_at is not null
    ), delivery as (
      select count(*)::int as pending, count(*) filter (where due_at <= dailies_now())::int as due,
        coalesce(greatest(extract(epoch from dailies_now() - min(due_at)), 0), 0)::float8 as overdue
      from deliveries where due_at is not null
    )
    select (select coalesce(sum(queued), 0)::int from flows) as queued,
      coalesce(extract(epoch from dailies_now() - (select at from oldest)), 0)::float8 as oldest_waiting,
      (select count(*)::int from attempts where due_at is not null and due_at <= dailies_now()) as due_submit,
      (select count(*)::int from attempts where look_at is not null and look_at <= dailies_now()) as due_look,
      file.due as due_archive, delivery.due as due_notify, file.pending as files, file.failing as files_failing, file.deadline,
      delivery.pending as deliveries, delivery.overdue
    from file, delivery`.execute(kysely);
  const [row] = rows;
  if (!row) throw new Error('a query without a group gives one row');
  return row;
}

/** Bounded by the slots and by the files that are not stored. */
async function countUnderWay(kysely: Transaction<Tables>): Promise<Record<string, number>> {
  const { rows } = await sql<{ state: string; count: number }>`
    select video.state, count(*)::int as count from (
      select video_id from attempts where holds_slot
      union
      select video_id from files where due_at is not null
    ) under_way join videos video on video.id = under_way.video_id
    where video.state in ('submitting', 'generating', 'archiving', 'canceled')
    group by video.state`.execute(kysely);
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

async function readPools(kysely: Transaction<Tables>, provider: Provider): Promise<PoolFigures[]> {
  const { rows } = await sql<PoolFigures>`
    select pool.account_id as account, pool.model, pool.pack_type as pack, pool.capacity,
      least(pool.capacity, pool.effective) as effective, pool.in_use as "inUse",
      (pool.paused_at is not null) as paused,
      case when pool.paused_at is null and account.paused_at is null
        and coalesce(greatest(pool.not_before, account.not_before) <= dailies_now(), true)
        then least(greatest(least(pool.capacity, pool.effective) - pool.in_use, 0), waiting.count) else 0 end as idle
    from pools pool join accounts account on account.id = pool.account_id
    cross join lateral (
      select coalesce(sum(flow.queued), 0)::int as count from families family join flows flow on flow.family_id = family.id
      where flow.eligible and family.provider = account.provider and family.pack_type = pool.pack_type
        and pool.model in (family.model, '*') and (family.needs is null or family.needs = any(account.generations))
    ) waiting
    where account.provider = ${provider}
    order by pool.id`.execute(kysely);
  return rows;
}

async function readBudgets(kysely: Transaction<Tables>): Promise<Pick<Figures, 'budgets' | 'fullest'>> {
  const sums = await kysely
    .selectFrom('budgets')
    .select([
      'provider',
      sql<string>`sum(held_credits)`.as('held'),
      sql<string>`sum(captured_credits)`.as('captured'),
      sql<string | null>`sum(limit_credits)`.as('limit'),
    ])
    .groupBy('provider')
    .execute();
  const fullest = await kysely
    .selectFrom('budgets')
    .select([
      'provider',
      'scope as workspace',
      sql<number>`((held_credits + captured_credits) / limit_credits)::float8`.as('used'),
    ])
    .where('limit_credits', '>', '0')
    .orderBy('used', 'desc')
    .limit(fullestMax)
    .execute();
  const budgets = sums.map(({ provider, held, captured, limit }) => ({
    provider,
    held: Number(held),
    captured: Number(captured),
    limit: limit === null ? null : Number(limit),
  }));
  return { budgets, fullest };
}

/** Reads every entry of the ledger (measured: docs/monitoring.md), so it is asked for rarely. One statement: one moment. */
export async function readLedgerFigures(kysely: Kysely<Tables>): Promise<LedgerFigures> {
  const { rows } = await sql<LedgerFigures>`
    with entry as (
      select coalesce(sum(amount), 0) as total, coalesce(sum(amount) filter (where account = 'held'), 0) as held,
        coalesce(sum(amount) filter (where account = 'captured'), 0) as captured from ledger_entries
    ), budget as (
      select coalesce(sum(held_credits), 0) as held, coalesce(sum(captured_credits), 0) as captured from budgets
    )
    select entry.total::float8 as sum, (budget.held - entry.held)::float8 as "heldDrift",
      (budget.captured - entry.captured)::float8 as "capturedDrift"
    from entry, budget`.execute(kysely);
  const [row] = rows;
  if (!row) throw new Error('a query without a group gives one row');
  return row;
}
