import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPgliteTestDatabase, openPostgresTestDatabase, reachablePostgres } from '../../test/support/database.ts';
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
      open: () => openQueue({ driver: 'postgres', database }),
      takeAndDie: (kind) => takeAndDie(database, kind),
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
