import { sql, type Kysely } from 'kysely';

/**
 * Transaction ids begin anew with every cluster. Whoever brings the rows to another one sets the offset, so that the events of later
 * transactions go on behind the old ones, and cursors that were given out stay good.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  `alter table clock add column xid_offset bigint not null default 0`,
  `create function dailies_event_xid() returns xid8 language sql volatile as
     $$ select (pg_current_xact_id()::text::bigint + (select xid_offset from clock))::text::xid8 $$`,
  // Nothing below it can appear any more.
  `create function dailies_event_horizon() returns xid8 language sql stable as
     $$ select (pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (select xid_offset from clock))::text::xid8 $$`,
  `alter table events alter column xid set default dailies_event_xid()`,
];
