import { sql, type Kysely } from 'kysely';

/** Everything that text-to-video needs; the product is part of the schema from the first row on. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // One clock for all stored times, in whole milliseconds as JavaScript reads them. The offset is zero outside tests.
  `create table clock (one boolean primary key default true check (one), offset_ms bigint not null default 0)`,
  `insert into clock default values`,
  `create function dailies_now() returns timestamptz language sql volatile as
     $$ select date_trunc('milliseconds', clock_timestamp()) + (select offset_ms from clock) * interval '1 millisecond' $$`,

  // What every process of one installation must sign with alike; made once, by the first.
  `create table installation_secrets (
     name text primary key,
     value text not null,
     created_at timestamptz not null default dailies_now()
   )`,
  `create table workspaces (
     id text primary key,
     name text not null,
     created_at timestamptz not null default dailies_now()
   )`,
  `create table api_keys (
     id text primary key,
     workspace_id text not null references workspaces,
     name text not null,
     hash text not null unique,
     created_at timestamptz not null default dailies_now(),
     revoked_at timestamptz
   )`,

  // Limits are rows: scope is a workspace id; the period 'total' starts once. The sandbox's pretend money never mixes with real.
  `create table budgets (
     scope text not null references workspaces,
     provider text not null check (provider in ('kling', 'sandbox')),
     period text not null check (period in ('total')),
     period_start timestamptz not null,
     limit_credits numeric(20, 6) check (limit_credits >= 0),
     held_credits numeric(20, 6) not null default 0,
     captured_credits numeric(20, 6) not null default 0,
     primary key (scope, provider, period, period_start)
   )`,

  `create table accounts (
     id text primary key,
     provider text not null check (provider in ('kling', 'sandbox')),
     host text not null,
     generations text[] not null,
     credentials_fingerprint text not null,
     paused_at timestamptz,
     pause_reason text,
     pause_detail text,
     trial_at timestamptz,
     not_before timestamptz,
     limited_count int not null default 0,
     skew_ms int not null default 0,
     audited_at timestamptz,
     seen_at timestamptz not null default dailies_now()
   )`,
  `create table families (
     id text primary key,
     provider text not null check (provider in ('kling', 'sandbox')),
     model text not null,
     pack_type text not null,
     needs text check (needs in ('legacy', 'standard')),
     vtime double precision not null default 0
   )`,
  `create table pools (
     id text primary key,
     account_id text not null references accounts,
     model text not null,
     pack_type text not null,
     capacity int not null check (capacity >= 1),
     effective int not null check (effective >= 1),
     in_use int not null default 0 check (in_use >= 0),
     paused_at timestamptz,
     pause_reason text,
     pause_detail text,
     trial_at timestamptz,
     not_before timestamptz,
     limited_count int not null default 0,
     grow_at timestamptz,
     unique (account_id, model, pack_type)
   )`,
  `create table flows (
     family_id text not null references families,
     workspace_id text not null references workspaces,
     weight double precision not null default 1 check (weight > 0),
     vfinish double precision not null default 0,
     in_flight int not null default 0 check (in_flight >= 0),
     cap int check (cap >= 1),
     queued int not null default 0 check (queued >= 0),
     queued_slot_ms bigint not null default 0,
     eligible boolean not null generated always as (queued > 0 and (cap is null or in_flight < cap)) stored,
     primary key (family_id, workspace_id)
   )`,
  `create index flows_next on flows (family_id, vfinish, workspace_id) where eligible`,

  `create table videos (
     id text primary key,
     workspace_id text not null references workspaces,
     product text not null,
     provider text not null check (provider in ('kling', 'sandbox')),
     state text not null check (state in
       ('queued', 'submitting', 'generating', 'archiving', 'completed', 'failed', 'canceled')),
     model text not null,
     request jsonb not null,
     warnings jsonb not null default '[]',
     metadata jsonb not null default '{}',
     priority int not null default 0,
     webhook_url text,
     start_before timestamptz,
     family_id text not null references families,
     expected_ms int not null,
     estimated_credits numeric(20, 6) not null,
     price_basis text not null,
     charged_credits numeric(20, 6),
     hold_credits numeric(20, 6) not null default 0,
     budget_period_start timestamptz not null,
     attempt_number int not null default 0,
     event_seq int not null default 0,
     error jsonb,
     retry_of text references videos,
     fairness_cost double precision not null default 0,
     accepted_at timestamptz not null,
     started_at timestamptz,
     completed_at timestamptz,
     deleted_at timestamptz
   )`,
  `create index videos_next on videos (family_id, workspace_id, priority desc, accepted_at, id) where state = 'queued'`,
  `create index videos_newest on videos (workspace_id, accepted_at desc, id desc)`,
  `create index videos_by_state on videos (workspace_id, state, accepted_at desc, id desc)`,
  `create index videos_metadata on videos using gin (metadata jsonb_path_ops)`,
  `create index videos_start_before on videos (start_before) where state = 'queued' and start_before is not null`,

  // One intention to buy one task. What it would send, and where, is pinned.
  `create table attempts (
     id text primary key,
     video_id text not null references videos,
     number int not null,
     external_task_id text not null unique,
     state text not null check (state in
       ('intended', 'sent', 'doubtful', 'accepted', 'ended', 'refused', 'abandoned')),
     holds_slot boolean not null generated always as
       (state in ('intended', 'sent', 'doubtful', 'accepted')) stored,
     account_id text not null references accounts,
     pool_id text not null references pools,
     family_id text not null references families,
     workspace_id text not null references workspaces,
     host text not null,
     generation text not null check (generation in ('legacy', 'standard')),
     path text not null,
     body jsonb not null,
     lease_token int not null default 0,
     lease_until timestamptz,
     sent_count int not null default 0,
     sent_at timestamptz,
     refused_count int not null default 0,
     known_to_exist boolean not null default false,
     look_first boolean not null default false,
     task_id text,
     provider_status text,
     provider_request_id text,
     expected_ms int not null,
     fairness_cost double precision not null default 0,
     due_at timestamptz,
     look_at timestamptz,
     looks int not null default 0,
     look_token int not null default 0,
     look_lease_until timestamptz,
     hinted_at timestamptz,
     failure jsonb,
     deducted_credits numeric(20, 6),
     created_at timestamptz not null,
     accepted_at timestamptz,
     ended_at timestamptz,
     published_at timestamptz,
     publishes int not null default 0,
     unique (video_id, number)
   )`,
  `create index attempts_slots on attempts (pool_id) where holds_slot`,
  `create index attempts_due on attempts (due_at) where due_at is not null`,
  `create index attempts_look on attempts (account_id, look_at) where look_at is not null`,
  `create index attempts_task on attempts (account_id, task_id) where task_id is not null`,

  // The paid file of an attempt and how far its copy is; its own row, so that a canceled video can still gain it.
  `create table files (
     id text primary key,
     video_id text not null references videos,
     attempt_id text not null unique references attempts,
     workspace_id text not null references workspaces,
     state text not null check (state in ('pending', 'stored', 'lost', 'deleted')),
     source_url text,
     source_expires_at timestamptz,
     storage_key text not null,
     bytes bigint,
     seconds double precision,
     width int,
     height int,
     has_audio boolean,
     sha256 text,
     etag text,
     poster_key text,
     tries int not null default 0,
     last_error text,
     lease_token int not null default 0,
     lease_until timestamptz,
     due_at timestamptz,
     created_at timestamptz not null,
     stored_at timestamptz,
     published_at timestamptz,
     publishes int not null default 0
   )`,
  `create index files_due on files (due_at) where due_at is not null`,
  `create index files_video on files (video_id)`,

  // Readers order by (xid, id) and stop below the oldest running transaction, so that they never skip a late commit.
  `create table events (
     id bigint generated always as identity primary key,
     xid xid8 not null default pg_current_xact_id(),
     workspace_id text not null,
     video_id text not null references videos,
     seq int not null,
     type text not null,
     data jsonb not null,
     created_at timestamptz not null,
     unique (video_id, seq)
   )`,
  `create index events_stream on events (workspace_id, xid, id)`,

  // Double entry: the entries of one transaction sum to zero, and so does the table.
  `create table ledger_entries (
     id bigint generated always as identity primary key,
     transaction_id text not null,
     workspace_id text not null,
     video_id text not null references videos,
     attempt_number int,
     kind text not null check (kind in ('hold', 'capture', 'release')),
     account text not null check (account in ('available', 'held', 'captured')),
     amount numeric(20, 6) not null,
     reason text not null,
     assumed boolean not null default false,
     created_at timestamptz not null
   )`,
  `create index ledger_video on ledger_entries (video_id, id)`,

  `create table idempotency_keys (
     workspace_id text not null,
     key text not null,
     fingerprint text not null,
     video_id text not null references videos,
     answer jsonb not null,
     created_at timestamptz not null,
     primary key (workspace_id, key)
   )`,
  `create index idempotency_old on idempotency_keys (created_at)`,

  `create table observed_durations (
     key text primary key,
     samples_ms int[] not null default '{}'
   )`,

  `create table dead_letters (
     kind text not null,
     id text not null,
     crashes int not null default 0,
     reason text,
     dead_at timestamptz,
     updated_at timestamptz not null,
     primary key (kind, id)
   )`,

  `create table deliveries (
     id text primary key,
     video_id text not null references videos,
     workspace_id text not null references workspaces,
     event_id bigint not null references events,
     url text not null,
     state text not null check (state in ('pending', 'delivered', 'failed')),
     tries int not null default 0,
     last_status int,
     last_error text,
     due_at timestamptz,
     lease_token int not null default 0,
     lease_until timestamptz,
     created_at timestamptz not null,
     delivered_at timestamptz,
     published_at timestamptz,
     publishes int not null default 0,
     unique (event_id, url)
   )`,
  `create index deliveries_due on deliveries (due_at) where due_at is not null`,
];
