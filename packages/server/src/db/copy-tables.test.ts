import { sql } from 'kysely';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openPgliteTestDatabase, openPostgresTestDatabase } from '../../test/support/database.ts';
import { reachablePostgres } from '../../../../test/servers/postgres.ts';
import { copyTables, goOnAfterEvents, listFilledTables } from './copy-tables.ts';
import type { Database } from './database.ts';
import { inTransaction } from './transaction.ts';

const postgresUrl = await reachablePostgres();
const targets = [
  { name: 'an embedded database', open: openPgliteTestDatabase },
  ...(postgresUrl === null ? [] : [{ name: 'PostgreSQL', open: () => openPostgresTestDatabase(postgresUrl) }]),
];
/** More transactions than any test cluster has seen. */
const manyTransactions = 5_000_000_000;
const awkward = `a "quoted" \\ {brace}, NULL 'x' \u00e9 \u{1f98a}\n`;

async function openSource(): Promise<Database> {
  const source = await openPgliteTestDatabase();
  onTestFinished(() => source.close());
  const { kysely } = source;
  await sql`update clock set offset_ms = 12345, xid_offset = ${manyTransactions}`.execute(kysely);
  await sql`insert into workspaces (id, name) values ('ws', ${awkward})`.execute(kysely);
  await sql`insert into families (id, provider, model, pack_type, vtime) values ('f', 'kling', 'm', 'p', 0.1::float8 + 0.2)`.execute(
    kysely,
  );
  await sql`insert into flows (family_id, workspace_id, queued) values ('f', 'ws', 3)`.execute(kysely);
  await sql`insert into accounts (id, provider, host, generations, credentials_fingerprint)
    values ('a', 'kling', 'h', ${sql.val(['legacy', awkward])}::text[], 'c')`.execute(kysely);
  for (const [id, before] of [
    ['v1', null],
    ['v2', 'v1'],
  ]) {
    await sql`insert into videos (id, workspace_id, product, provider, state, model, request, family_id, expected_ms, estimated_credits,
      price_basis, budget_period_start, accepted_at, retry_of, event_seq)
      values (${id}, 'ws', 'p', 'kling', 'queued', 'm', ${JSON.stringify({ prompt: awkward, nothing: null })}::jsonb, 'f', 5, 1.234567, 'x',
        'epoch', '2026-02-03 04:05:06.123456+09'::timestamptz, ${before}, 1)`.execute(kysely);
    await sql`insert into events (workspace_id, video_id, seq, type, data, created_at)
      values ('ws', ${id}, 1, 't', '{}', dailies_now())`.execute(kysely);
  }
  return source;
}

async function dump({ kysely }: Database, table: string): Promise<unknown> {
  const { rows } =
    await sql`select to_jsonb(each) as row from ${sql.table(table)} each order by to_jsonb(each)::text`.execute(kysely);
  return rows;
}

describe.each(targets)('a copy into $name', ({ open }) => {
  test('has every row with every value, and goes on counting where the source stopped', async () => {
    const source = await openSource();
    const target = await open();
    onTestFinished(() => target.close());
    const counts = await inTransaction(target, async ({ trx }) => {
      const copied = await source.kysely.transaction().execute((reading) => copyTables(reading.withoutPlugins(), trx));
      await goOnAfterEvents(trx);
      return copied;
    });
    expect(counts).toContainEqual({ table: 'videos', rows: 2 });
    for (const table of ['workspaces', 'families', 'flows', 'accounts', 'videos', 'events']) {
      expect(await dump(target, table)).toEqual(await dump(source, table));
    }
    await sql`insert into events (workspace_id, video_id, seq, type, data, created_at)
      values ('ws', 'v1', 2, 't', '{}', dailies_now())`.execute(target.kysely);
    const { rows } = await sql<{ id: string }>`select id::text from events order by xid, id`.execute(target.kysely);
    expect(rows.map(({ id }) => id)).toEqual(['1', '2', '3']);
    // Transactions of other databases of the cluster may hold the horizon back for a moment.
    const hidden = async () => {
      const result = await sql`select 1 from events where xid >= dailies_event_horizon()`.execute(target.kysely);
      return result.rows.length;
    };
    await expect.poll(hidden, { timeout: 50_000 }).toBe(0);
  });

  test('knows which tables hold something', async () => {
    const target = await open();
    onTestFinished(() => target.close());
    const filled = (database: Database) =>
      database.kysely.transaction().execute((trx) => listFilledTables(trx.withoutPlugins()));
    expect(await filled(target)).toEqual([]);
    expect(await filled(await openSource())).toContain('videos');
  });
});
