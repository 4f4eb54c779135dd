import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openPgliteTestDatabase, openPostgresTestDatabase } from '../../test/support/database.ts';
import { reachablePostgres } from '../../../../test/servers/postgres.ts';
import type { Database } from '../db/database.ts';
import { inTransaction } from '../db/transaction.ts';
import { openQueue } from './open.ts';
import { queueContract, type QueueSubject } from './queue.contract.ts';
import type { MessageKind, Queue } from './queue.ts';

const postgresUrl = await reachablePostgres();

const databases: { name: string; open: () => Promise<Database> }[] = [
  { name: 'PGlite', open: openPgliteTestDatabase },
  ...(postgresUrl === null ? [] : [{ name: 'PostgreSQL', open: () => openPostgresTestDatabase(postgresUrl) }]),
];

for (const { name, open } of databases) {
  let shared: Promise<Database> | undefined;
  afterAll(async () => (await shared)?.close());

  queueContract(`postgres on ${name}`, async (): Promise<QueueSubject> => {
    const database = await (shared ??= open());
    await sql`drop schema if exists queue cascade`.execute(database.kysely);
    return {
      database,
      open: () => openQueue({ driver: 'postgres', database, pace: { inspectionSeconds: 1, pollMs: 200 } }),
      takeAndDie: (kind) => takeAndDie(database, kind),
      loseLease: (kind) => loseLease(database, kind),
      close: async () => {},
    };
  });

  describe(`postgres on ${name}`, () => {
    let database: Database;
    let queue: Queue;
    beforeAll(async () => {
      database = await (shared ??= open());
      await sql`drop schema if exists queue cascade`.execute(database.kysely);
      queue = await openQueue({ driver: 'postgres', database });
    });
    afterAll(() => queue.close());

    test('a message reaches an idle handler in milliseconds, without a poll', async () => {
      let arrived = Promise.withResolvers<void>();
      const consumer = await queue.consume(
        'submit',
        async () => {
          arrived.resolve();
          return { result: 'done' };
        },
        { concurrency: 4, settled: async () => {} },
      );
      const times: number[] = [];
      for (let index = 0; index < 40; index++) {
        arrived = Promise.withResolvers();
        const start = performance.now();
        await inTransaction(database, ({ trx }) => queue.publish([{ kind: 'submit', id: `m${index}` }], trx));
        await arrived.promise;
        times.push(performance.now() - start);
      }
      await consumer.stop(1_000);
      const median = times.toSorted((a, b) => a - b)[20]!;
      // oxlint-disable-next-line no-console -- a measurement, shown when asked for
      if (process.env['SHOW_TIMES']) console.log(`${name}: publish to handler p50 ${median.toFixed(1)} ms`);
      expect(median).toBeLessThan(200);
    });

    test('acknowledged messages leave nothing behind', async () => {
      const { rows } = await sql`select id from queue.job`.execute(database.kysely);
      expect(rows).toEqual([]);
    });

    test('publishing past the transaction is refused inside one', { timeout: 5_000 }, async () => {
      await expect(inTransaction(database, () => queue.publish([{ kind: 'submit', id: 'x' }]))).rejects.toThrow(
        'outer handle inside a transaction',
      );
    });
  });
}

/** Leases a job the way the engine does, and leaves it with a heartbeat that stopped long ago. */
async function takeAndDie(database: Database, kind: MessageKind): Promise<void> {
  const taken = await sql`
    update queue.job set state = 'active', started_on = now(), heartbeat_on = now() - interval '1 hour'
    where name = ${kind} and state = 'created' returning id`.execute(database.kysely);
  expect(taken.rows).toHaveLength(1);
}

/** What the engine does when a heartbeat is missing, at once. */
async function loseLease(database: Database, kind: MessageKind): Promise<void> {
  const lost = await sql`
    update queue.job set state = 'retry', retry_count = retry_count + 1
    where name = ${kind} and state = 'active' returning id`.execute(database.kysely);
  expect(lost.rows).toHaveLength(1);
}

test.skipIf(postgresUrl === null)('a listener whose connection broke comes back', async () => {
  const database = await openPostgresTestDatabase(postgresUrl!);
  const listeners = sql<{ pid: number }>`
    select pid from pg_stat_activity where application_name = 'dailies listener' and datname = current_database()`;
  const errors: string[] = [];
  const queue = await openQueue({
    driver: 'postgres',
    database,
    onError: (_error, while_) => void errors.push(while_),
  });
  try {
    const before = (await listeners.execute(database.kysely)).rows;
    expect(before).toHaveLength(1);
    await sql`select pg_terminate_backend(${before[0]!.pid})`.execute(database.kysely);
    await vi.waitFor(
      async () => {
        const [now] = (await listeners.execute(database.kysely)).rows;
        if (!now || now.pid === before[0]!.pid) throw new Error('no new listener yet');
      },
      { timeout: 10_000, interval: 50 },
    );
    expect(errors).toEqual(['listening for queue notifications']);
  } finally {
    await queue.close();
    await database.close();
  }
});
