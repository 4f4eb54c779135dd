import { randomUUID } from 'node:crypto';
import { createRedisBackend, Queue as EngineQueue, Worker, type Job } from 'bullmq';
import { z } from 'zod';
import { openRedis, type RedisConnection } from '../redis/connect.ts';
import { messageOf, orRedisError, RedisError } from '../redis/error.ts';
import { createConsumer, type LeasedSource, type WakeableConsumer } from './consumer.ts';
import type { QueueReporting, RedisQueueOptions } from './open.ts';
import {
  messageKinds,
  type ConsumeOptions,
  type Handler,
  type Message,
  type MessageKind,
  type Queue,
} from './queue.ts';

/** Of every engine queue; what tells the kinds apart is the prefix, whose hash tag keeps the keys of a kind on one node. */
const engineQueueName = 'messages';

/** A message in hand is a job whose lock this process renews; an inspection of any process returns jobs without one. */
const usualLeaseSeconds = 20;
const renewalsPerLease = 4;
const inspectionsPerLease = 4;
/** How long an idle consumer rests when no wake-up reaches it. */
const pollMs = 5_000;
/** How many events the engine keeps for its own listeners; we have none. */
const engineEventsKept = 100;

/** What the engine answers to a holder whose lease is gone: no such job, no lock, not active, somebody else's lock. */
const lostLease: ReadonlySet<unknown> = new Set([-1, -2, -3, -6]);

const dataSchema = z.object({ id: z.string() });

/** The token fences acknowledgements: a late finisher cannot end a message that was delivered again. */
interface Lease {
  readonly job: Job;
  readonly token: string;
}

interface Engine {
  readonly connection: RedisConnection;
  readonly prefix: string;
  readonly leaseMs: number;
  readonly onError: (error: Error, while_: string) => void;
}

/**
 * Messages as BullMQ jobs on Redis or Valkey, one server or a cluster. BullMQ keeps the lists, locks and inspections; the loop is ours,
 * woken over a channel, so that all engines settle, give back and drain alike.
 * @throws RedisError when Redis cannot be used within 5 s
 */
export async function openRedisQueue(options: RedisQueueOptions & QueueReporting): Promise<Queue> {
  const { prefix, leaseSeconds = usualLeaseSeconds, onError = () => {} } = options;
  const connection = await openRedis(options, { onError });
  const engine: Engine = { connection, prefix, leaseMs: leaseSeconds * 1_000, onError };
  const engineQueues = new Map(messageKinds.map((kind) => [kind, createEngineQueue(engine, kind)]));
  const consumers = new Map<MessageKind, Set<WakeableConsumer>>(messageKinds.map((kind) => [kind, new Set()]));

  function wake(kind: string): void {
    for (const [candidate, group] of consumers) {
      if (kind === candidate || kind === '') for (const consumer of group) consumer.wake();
    }
  }
  const wakeChannel = `${prefix}:wake`;
  /** Only saves waiting: consumers that it does not reach find the message with their next poll. */
  function wakeEveryone(kind: MessageKind): void {
    connection.client.publish(wakeChannel, kind).catch(() => wake(kind));
  }
  await connection.subscribe(wakeChannel, { onMessage: wake, onSubscribed: () => wake('') });

  async function add(kind: MessageKind, id: string): Promise<void> {
    // An id of its own for each publish: BullMQ drops a job whose id it knows.
    await connection.patiently(async () => engineQueues.get(kind)?.add(kind, { id }, { jobId: randomUUID() }));
  }

  return {
    limits: { transactional: false, redeliveryMs: engine.leaseMs * (1 + 2 / inspectionsPerLease) + pollMs },
    async publish(messages) {
      await Promise.all(messages.map(({ kind, id }) => add(kind, id)));
      for (const kind of new Set(messages.map((message) => message.kind))) wakeEveryone(kind);
    },
    async consume(kind, handler, consumeOptions) {
      const consumer = await startEngineConsumer(engine, kind, handler, consumeOptions, wakeEveryone);
      consumers.get(kind)?.add(consumer);
      return {
        async stop(graceMs) {
          await consumer.stop(graceMs);
          consumers.get(kind)?.delete(consumer);
        },
      };
    },
    depth: () => readDepth(engine, engineQueues),
    async close() {
      await Promise.all([...consumers.values()].flatMap((group) => [...group].map((consumer) => consumer.stop(0))));
      await Promise.all([...engineQueues.values()].map((queue) => queue.close()));
      connection.close();
    },
  };
}

async function startEngineConsumer(
  engine: Engine,
  kind: MessageKind,
  handler: Handler,
  options: ConsumeOptions,
  wakeEveryone: (kind: MessageKind) => void,
): Promise<WakeableConsumer> {
  const worker = createEngineWorker(engine, kind);
  const consumer = createConsumer(leasedSource(engine, worker, kind, wakeEveryone), handler, {
    ...options,
    onError: engine.onError,
    pollMs,
    keepLeaseMs: engine.leaseMs / renewalsPerLease,
  });
  worker.on('stalled', () => wakeEveryone(kind));
  await worker.startStalledCheckTimer();
  return {
    wake: consumer.wake,
    async stop(graceMs) {
      await consumer.stop(graceMs);
      await worker.close(true);
    },
  };
}

function createEngineQueue({ connection, prefix, onError }: Engine, kind: MessageKind): EngineQueue {
  const queue = new EngineQueue(engineQueueName, {
    connection: connection.client,
    prefix: hashTag(prefix, kind),
    skipVersionCheck: true,
    streams: { events: { maxLen: engineEventsKept } },
    defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
  });
  queue.on('error', reportTo(connection, onError));
  return queue;
}

/** Processes nothing by itself: it is asked for jobs, renews locks and inspects. */
function createEngineWorker({ connection, prefix, leaseMs, onError }: Engine, kind: MessageKind): Worker {
  const options = {
    connection: connection.client,
    prefix: hashTag(prefix, kind),
    skipVersionCheck: true,
    autorun: false,
    lockDuration: leaseMs,
    stalledInterval: leaseMs / inspectionsPerLease,
    // Coming again after a death is not a retry of ours, so it is never used up; crashes are counted in database rows.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    removeOnComplete: { count: 0 },
  };
  // Without the connection on which BullMQ's own loop would block.
  const worker = new Worker(engineQueueName, null, options, (name, backend) => createRedisBackend(name, backend));
  worker.on('error', reportTo(connection, onError));
  return worker;
}

const hashTag = (prefix: string, kind: MessageKind): string => `{${prefix}:${kind}}`;

/** The connection tells of its own failures, once for all who use it. */
function reportTo(connection: RedisConnection, onError: Engine['onError']): (error: Error) => void {
  return (error) => {
    if (connection.isReady()) onError(new RedisError(messageOf(error)), 'the queue engine was at work');
  };
}

function leasedSource(
  { connection, leaseMs, onError }: Engine,
  worker: Worker,
  kind: MessageKind,
  wakeEveryone: (kind: MessageKind) => void,
): LeasedSource<Lease> {
  async function take(): Promise<Lease | undefined> {
    const token = randomUUID();
    const job = await orRedisError(worker.getNextJob(token, { block: false }));
    return job && { job, token };
  }
  async function end(action: () => Promise<unknown>): Promise<void> {
    await connection.patiently(() => action().catch(ignoreLostLease));
  }
  const acknowledge = (lease: Lease): Promise<void> => end(() => lease.job.moveToCompleted(null, lease.token, false));

  async function toMessage(lease: Lease): Promise<{ message: Message; lease: Lease } | undefined> {
    const data = dataSchema.safeParse(lease.job.data);
    if (data.success) return { message: { kind, id: data.data.id }, lease };
    onError(new RedisError(`A message in ${worker.qualifiedName} names no row and is dropped.`), 'fetching messages');
    await acknowledge(lease);
    return undefined;
  }

  return {
    async fetch(limit) {
      const leases: Lease[] = [];
      // One at first, then always twice as many at once: few questions when little waits, few turns when much does.
      for (let ask = 1; leases.length < limit; ask *= 2) {
        const wanted = Math.min(ask, limit - leases.length);
        const answers = await Promise.allSettled(Array.from({ length: wanted }, take));
        const taken = answers.flatMap((answer) =>
          answer.status === 'fulfilled' && answer.value ? [answer.value] : [],
        );
        const [refusal] = answers.filter((answer) => answer.status === 'rejected');
        leases.push(...taken);
        if (refusal && leases.length === 0) throw refusal.reason;
        if (taken.length < wanted) break;
      }
      return (await Promise.all(leases.map(toMessage))).filter((found) => found !== undefined);
    },
    acknowledge,
    async giveBack({ job, token }) {
      await end(() => job.moveToWait(token));
      wakeEveryone(kind);
    },
    async keepLeases(leases) {
      const ids = leases.map(({ job }) => String(job.id));
      const tokens = leases.map(({ token }) => token);
      await orRedisError(worker.extendJobLocks(ids, tokens, leaseMs));
    },
  };
}

/** The message was delivered again, or everything was flushed: the lease is not ours to end any more. */
function ignoreLostLease(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && lostLease.has(error.code))) throw error;
}

async function readDepth(
  { connection }: Engine,
  engineQueues: ReadonlyMap<MessageKind, EngineQueue>,
): Promise<Readonly<Record<MessageKind, number>>> {
  async function of(kind: MessageKind): Promise<number> {
    const counts = await connection.patiently(async () => engineQueues.get(kind)?.getJobCounts('wait', 'active'));
    return (counts?.['wait'] ?? 0) + (counts?.['active'] ?? 0);
  }
  const [submit, look, archive, notify] = await Promise.all([of('submit'), of('look'), of('archive'), of('notify')]);
  return { submit, look, archive, notify };
}
