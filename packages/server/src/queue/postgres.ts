import { sql, type Transaction } from 'kysely';
import { fromKysely, fromPglite, PgBoss } from 'pg-boss';
import { z } from 'zod';
import type { Database } from '../db/database.ts';
import type { Tables } from '../db/tables.ts';
import { createConsumer, type LeasedSource, type WakeableConsumer } from './consumer.ts';
import { listenOnPglite, listenOnPostgres, type Listener } from './notifications.ts';
import type { PostgresQueueOptions, QueuePace, QueueReporting } from './open.ts';
import { messageKinds, type Message, type MessageKind, type Queue } from './queue.ts';

const schema = 'queue';

/**
 * A message in hand is a job whose heartbeat this process keeps. When the process dies the heartbeat stops, and the
 * next inspection of any process makes the job ready again.
 */
const leaseSeconds = 20;
const usualPace: QueuePace = { inspectionSeconds: 5, pollMs: 5_000 };

const jobOptions = {
  heartbeatSeconds: leaseSeconds,
  // Heartbeats decide; this only bounds what no handler should ever take.
  expireInSeconds: 23 * 3_600,
  // Coming again after a death is not a retry of ours, so it is never used up; delays are database rows.
  retryLimit: 1_000_000,
  retryDelay: 0,
  retryBackoff: false,
  // Acknowledged jobs are deleted at once. What nobody took for a day is published again from its row if needed.
  retentionSeconds: 86_400,
  deleteAfterSeconds: 3_600,
  notify: true,
} as const;

/** The attempt number fences acknowledgements: a late finisher cannot end a message that was delivered again. */
const jobSchema = z.object({ id: z.string(), retryCount: z.int(), data: z.object({ id: z.string() }) });
type Lease = Pick<z.infer<typeof jobSchema>, 'id' | 'retryCount'>;

/** Messages as pg-boss jobs in a schema of their own, on PGlite or PostgreSQL alike. */
export async function openPostgresQueue(options: PostgresQueueOptions & QueueReporting): Promise<Queue> {
  const { database, pace = usualPace, onError = () => {} } = options;
  const consumers = new Map<MessageKind, Set<WakeableConsumer>>(messageKinds.map((kind) => [kind, new Set()]));
  function wake(kind: string): void {
    for (const [candidate, group] of consumers) {
      if (kind === candidate || kind === '') for (const consumer of group) consumer.wake();
    }
  }
  const boss = new PgBoss({
    db: bossDatabase(database, { onNotification: wake, onSubscribed: () => wake(''), onError }),
    backend: database.driver,
    schema,
    useListenNotify: true,
    schedule: false,
    superviseIntervalSeconds: pace.inspectionSeconds,
    monitorIntervalSeconds: pace.inspectionSeconds,
  });
  boss.on('error', (error) => onError(error, 'the queue engine was at work'));
  await boss.start();
  await createQueues(boss);

  return {
    limits: { transactional: true, redeliveryMs: (leaseSeconds + 2 * pace.inspectionSeconds) * 1_000 + pace.pollMs },
    publish: (messages, transaction) => publish(boss, database, messages, transaction),
    async consume(kind, handler, consumeOptions) {
      const source = leasedSource(boss, kind);
      const consumer = createConsumer(source, handler, {
        ...consumeOptions,
        onError,
        pollMs: pace.pollMs,
        keepLeaseMs: (leaseSeconds * 1_000) / 4,
      });
      consumers.get(kind)?.add(consumer);
      return {
        stop: (graceMs) => consumer.stop(graceMs).finally(() => consumers.get(kind)?.delete(consumer)),
      };
    },
    depth: () => readDepth(database),
    async close() {
      await Promise.all([...consumers.values()].flatMap((group) => [...group].map((consumer) => consumer.stop(0))));
      await boss.stop({ graceful: false, close: false });
    },
  };
}

/** Existing queues are brought to these settings, so that a new version changes them everywhere. */
async function createQueues(boss: PgBoss): Promise<void> {
  for (const kind of messageKinds) {
    await boss.createQueue(kind, jobOptions);
    await boss.updateQueue(kind, jobOptions);
  }
}

async function publish(
  boss: PgBoss,
  database: Database,
  messages: readonly Message[],
  transaction: Transaction<Tables> | undefined,
): Promise<void> {
  if (!transaction) database.guard.assertOutside();
  for (const kind of messageKinds) {
    const jobs = messages.filter((message) => message.kind === kind).map(({ id }) => ({ data: { id } }));
    if (jobs.length > 0) await boss.insert(kind, jobs, transaction ? { db: fromKysely(transaction) } : {});
  }
}

function leasedSource(boss: PgBoss, kind: MessageKind): LeasedSource<Lease> {
  return {
    async fetch(limit) {
      const jobs = z.array(jobSchema).parse(await boss.fetch(kind, { batchSize: limit }));
      return jobs.map(({ id, retryCount, data }) => ({ message: { kind, id: data.id }, lease: { id, retryCount } }));
    },
    acknowledge: async (lease) => void (await boss.deleteJob(kind, lease)),
    giveBack: async (lease) => void (await boss.fail(kind, lease)),
    keepLeases: async (leases) => void (await boss.touch(kind, [...leases])),
  };
}

async function readDepth(database: Database): Promise<Readonly<Record<MessageKind, number>>> {
  const { rows } = await sql<{ name: string; count: string }>`
    select name, count(*) as count from ${sql.table(`${schema}.job`)} where state < 'completed' group by name`.execute(
    database.kysely,
  );
  const counts = new Map(rows.map(({ name, count }) => [name, Number(count)]));
  const of = (kind: MessageKind): number => counts.get(kind) ?? 0;
  return { submit: of('submit'), look: of('look'), archive: of('archive'), notify: of('notify') };
}

type BossDatabase = ReturnType<typeof fromPglite>;

/** The engine's access to our database; its notifications wake our own loop. */
function bossDatabase({ native }: Database, listener: Listener): BossDatabase {
  return 'pglite' in native
    ? { ...fromPglite(native.pglite), listen: (channel) => listenOnPglite(native.pglite, channel, listener) }
    : {
        executeSql: (text, values) => native.pool.query(text, values),
        listen: (channel) => listenOnPostgres(native.pool, channel, listener),
      };
}
