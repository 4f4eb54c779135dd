import { sql, type Kysely } from 'kysely';

/** Endpoints of a workspace, other channels than webhooks, and the log of every try. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  `create table webhook_endpoints (
     id text primary key,
     workspace_id text not null references workspaces,
     url text not null,
     description text not null default '',
     event_types text[] not null,
     secret text not null,
     previous_secret text,
     previous_secret_until timestamptz,
     created_at timestamptz not null default dailies_now(),
     failing_since timestamptz,
     disabled_at timestamptz,
     disabled_reason text,
     deleted_at timestamptz
   )`,
  `create index webhook_endpoints_live on webhook_endpoints (workspace_id, created_at) where deleted_at is null`,

  // Where a delivery goes: the address of a video, an endpoint of the workspace, or the channel in Redis. A test event belongs to no video.
  `alter table deliveries add column channel text not null default 'webhook' check (channel in ('webhook', 'redis'))`,
  `alter table deliveries add column endpoint_id text references webhook_endpoints`,
  `alter table deliveries add column payload jsonb`,
  `alter table deliveries alter column video_id drop not null`,
  `alter table deliveries alter column event_id drop not null`,
  `alter table deliveries alter column url drop not null`,
  `alter table deliveries drop constraint deliveries_event_id_url_key`,
  `create unique index deliveries_target on deliveries (event_id, channel, coalesce(endpoint_id, ''))`,
  `create index deliveries_log on deliveries (workspace_id, created_at desc, id desc)`,
  `create index deliveries_of_endpoint on deliveries (endpoint_id, created_at desc, id desc) where endpoint_id is not null`,
  `create index deliveries_of_video on deliveries (video_id)`,

  `create table delivery_tries (
     id bigint generated always as identity primary key,
     delivery_id text not null references deliveries,
     started_at timestamptz not null,
     duration_ms int not null,
     status int,
     error text
   )`,
  `create index delivery_tries_of on delivery_tries (delivery_id, id)`,
];
