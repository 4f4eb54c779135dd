import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { advanceClock, openPgliteTestDatabase, openPostgresTestDatabase } from '../../test/support/database.ts';
import { reachablePostgres } from '../../../../test/servers/postgres.ts';
import type { Database } from './database.ts';
import { migrations } from './migrations/index.ts';
import { migrate, requireSchema } from './migrate.ts';
import { databaseNow } from './now.ts';
import { openPreparedDatabase } from './prepared.ts';
import { inTransaction } from './transaction.ts';

const postgresUrl = await reachablePostgres();
const drivers: { name: string; open: (() => Promise<Database>) | null }[] = [
  { name: 'pglite', open: openPgliteTestDatabase },
  { name: 'postgres', open: postgresUrl === null ? null : () => openPostgresTestDatabase(postgresUrl) },
];

describe.for(drivers.filter((driver) => driver.open !== null))('on $name', ({ open }) => {
  let database: Database;
  beforeAll(async () => {
    database = await open!();
  });
  afterAll(() => database.close());

  test('every column type reads the same', async () => {
    const { rows } = await sql<Record<string, unknown>>`
      select ${'12.340000'}::numeric(20, 6) as numeric, 9007199254740993::bigint as bigint, 5::bigint as small_bigint,
        '18446744073709551615'::xid8 as xid, 7::int as int, 0.5::double precision as float8,
        ${new Date('2026-01-02T03:04:05.678Z')}::timestamptz as time, ${'[{"a":1}]'}::jsonb as json,
        ${[1, 2]}::int[] as ints, ${['a', 'b,"c']}::text[] as texts, array[9007199254740993]::bigint[] as bigints,
        true as yes, ${null}::text as nothing, count(*) as count
      from clock`.execute(database.kysely);
    expect(rows).toEqual([
      {
        numeric: '12.340000',
        bigint: '9007199254740993',
        small_bigint: '5',
        xid: '18446744073709551615',
        int: 7,
        float8: 0.5,
        time: new Date('2026-01-02T03:04:05.678Z'),
        json: [{ a: 1 }],
        ints: [1, 2],
        texts: ['a', 'b,"c'],
        bigints: ['9007199254740993'],
        yes: true,
        nothing: null,
        count: '1',
      },
    ]);
  });

  test('a stored row comes back as it was written', async () => {
    await database.kysely
      .insertInto('observed_durations')
      .values({ key: 'k', samples_ms: [3, 1] })
      .execute();
    const row = await database.kysely.selectFrom('observed_durations').selectAll().executeTakeFirstOrThrow();
    expect(row).toEqual({ key: 'k', samples_ms: [3, 1] });
  });

  test('a committed transaction keeps its rows and then runs what waits for the commit, in order', async () => {
    const seen: string[] = [];
    const result = await inTransaction(database, async ({ trx, afterCommit }) => {
      await trx.insertInto('workspaces').values({ id: 'ws_commit', name: 'a' }).execute();
      afterCommit(async () => {
        const row = await database.kysely
          .selectFrom('workspaces')
          .select('name')
          .where('id', '=', 'ws_commit')
          .execute();
        seen.push(`first sees ${row.length}`);
      });
      afterCommit(() => void seen.push('second'));
      return 'result';
    });
    expect(result).toBe('result');
    expect(seen).toEqual(['first sees 1', 'second']);
  });

  test('a failed transaction leaves no rows and runs nothing afterwards', async () => {
    const seen: string[] = [];
    const failing = inTransaction(database, async ({ trx, afterCommit }) => {
      await trx.insertInto('workspaces').values({ id: 'ws_rollback', name: 'a' }).execute();
      afterCommit(() => void seen.push('ran'));
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(seen).toEqual([]);
    expect(
      await database.kysely.selectFrom('workspaces').where('id', '=', 'ws_rollback').selectAll().execute(),
    ).toEqual([]);
  });

  test.for(['40001', '40P01'])('a transaction that the server undid with %s is run again', async (code) => {
    let runs = 0;
    const done = await inTransaction(database, async ({ trx, afterCommit }) => {
      runs++;
      afterCommit(() => {});
      if (runs < 3) await sql.raw(`do $$ begin raise exception 'x' using errcode = '${code}'; end $$`).execute(trx);
      return runs;
    });
    expect(done).toBe(3);
  });

  test('the outer handle inside a transaction is refused at once instead of hanging', { timeout: 5_000 }, async () => {
    const mistakes: (() => Promise<unknown>)[] = [
      () => database.kysely.selectFrom('clock').selectAll().execute(),
      () => sql`select 1`.execute(database.kysely),
      () => inTransaction(database, async () => {}),
    ];
    for (const mistake of mistakes) {
      await expect(inTransaction(database, mistake)).rejects.toThrow('outer handle inside a transaction');
    }
    await database.kysely.selectFrom('clock').selectAll().execute();
  });

  test('work that a transaction started and left behind may use the outer handle afterwards', async () => {
    const ended = Promise.withResolvers<void>();
    const left = await inTransaction(database, async () => {
      const later = ended.promise.then(() => database.kysely.selectFrom('clock').selectAll().execute());
      return { later };
    });
    ended.resolve();
    expect(await left.later).toHaveLength(1);
  });

  test('transactions at the same time all finish', { timeout: 20_000 }, async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        inTransaction(database, async ({ trx }) => {
          await trx
            .insertInto('workspaces')
            .values({ id: `ws_many_${index}`, name: 'a' })
            .execute();
          await sql`update clock set offset_ms = offset_ms`.execute(trx);
        }),
      ),
    );
    const { count } = await database.kysely
      .selectFrom('workspaces')
      .select((eb) => eb.fn.countAll().as('count'))
      .where('id', 'like', 'ws_many_%')
      .executeTakeFirstOrThrow();
    expect(count).toBe('20');
  });

  test('the clock of stored times is moved by its offset', async () => {
    const read = async () =>
      (await database.kysely.selectFrom('clock').select(databaseNow.as('now')).executeTakeFirstOrThrow()).now.getTime();
    const before = await read();
    await advanceClock(database, 3_600_000);
    expect((await read()) - before).toBeGreaterThanOrEqual(3_600_000);
    expect((await read()) - before).toBeLessThan(3_660_000);
  });

  test('a schema that is older or newer is refused with what to do', async () => {
    expect(await migrate(database)).toEqual([]);
    await requireSchema(database);
    await sql`insert into schema_migrations (name, timestamp) values ('9999-future', 'x')`.execute(database.kysely);
    await expect(requireSchema(database)).rejects.toThrow('newer than this version of Dailies (unknown: 9999-future)');
    await expect(migrate(database)).rejects.toThrow('newer');
    await sql`delete from schema_migrations`.execute(database.kysely);
    await expect(requireSchema(database)).rejects.toThrow('older than this version');
  });
});

test.skipIf(postgresUrl === null)('several processes that migrate at once agree', async () => {
  const first = await openPostgresTestDatabase(postgresUrl!);
  try {
    const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(first.kysely);
    await sql`drop schema public cascade`.execute(first.kysely);
    await sql`create schema public`.execute(first.kysely);
    expect(rows).toHaveLength(1);
    const outcomes = await Promise.all([migrate(first), migrate(first), migrate(first)]);
    expect(outcomes.flat()).toEqual(Object.keys(migrations));
  } finally {
    await first.close();
  }
});

describe('an embedded folder', () => {
  let parent = '';
  beforeAll(async () => {
    parent = await mkdtemp(path.join(os.tmpdir(), 'dailies-db-'));
  });
  afterAll(() => rm(parent, { recursive: true, force: true }));

  test('keeps its rows, and the first one leaves a dump for the next', async () => {
    const options = { cacheDirectory: path.join(parent, 'cache') };
    const directory = path.join(parent, 'first');
    const first = await openPreparedDatabase(directory, options);
    await first.kysely.insertInto('workspaces').values({ id: 'ws_1', name: 'kept' }).execute();
    await first.close();
    const again = await openPreparedDatabase(directory, options);
    expect(await again.kysely.selectFrom('workspaces').select('name').execute()).toEqual([{ name: 'kept' }]);
    await again.close();

    const [file = ''] = await readdir(options.cacheDirectory);
    const second = await openPreparedDatabase(path.join(parent, 'second'), options);
    expect(await migrate(second)).toEqual([]);
    expect(await second.kysely.selectFrom('workspaces').selectAll().execute()).toEqual([]);
    await second.close();
    expect(await readdir(options.cacheDirectory)).toEqual([file]);

    await truncate(path.join(options.cacheDirectory, file), 5_000_000);
    const third = await openPreparedDatabase(path.join(parent, 'third'), options);
    await requireSchema(third);
    await third.close();
  });

  test('is opened where no dump can be kept', async () => {
    const unwritable = { cacheDirectory: path.join(import.meta.filename, 'folder') };
    const database = await openPreparedDatabase(path.join(parent, 'uncached'), unwritable);
    await requireSchema(database);
    await database.close();
  });
});
