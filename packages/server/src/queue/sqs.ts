import { z } from 'zod';
import { createBatcher } from './batcher.ts';
import { createConsumer, type LeasedSource } from './consumer.ts';
import { drainDead } from './dead.ts';
import type { QueueReporting, SqsQueueOptions } from './open.ts';
import {
  messageKinds,
  type ConsumeOptions,
  type Consumer,
  type Handler,
  type Message,
  type MessageKind,
  type Queue,
} from './queue.ts';
import { batchSize, createSqsClient, SqsError, type SqsClient, type SqsEntry } from './sqs-client.ts';
import { createSqsQueues, deadSuffix, type SqsQueues } from './sqs-queues.ts';

/** A message in hand is invisible to others for this long, and kept so by this process while it lives. */
const usualLeaseSeconds = 30;
const renewalsPerLease = 4;
/** How long a consumer rests after a fetch that failed. */
const restMs = 1_000;
/** Handlers that share one receive; more are consumers of their own, so that a slow answer holds up no others. */
const handlersPerReceive = batchSize;
/** How long acknowledgements wait for each other. */
const gatherMs = 5;
/** Rounds in which entries that SQS failed to take are sent. */
const sendRounds = 2;

const bodySchema = z.object({ id: z.string() });

/** The receipt of one delivery: SQS ignores it once the message was delivered again. */
interface Lease {
  readonly receipt: string;
}

/**
 * Messages in standard queues of Amazon SQS, one per kind and one for each kind's dead letters. Every workspace is a message group,
 * so that the fair queues of SQS deliver the few messages of one before the many of another.
 * @throws SqsError when SQS cannot be used
 */
export async function openSqsQueue(options: SqsQueueOptions & QueueReporting): Promise<Queue> {
  const { prefix, leaseSeconds = usualLeaseSeconds, onError = () => {}, onDead } = options;
  const client = createSqsClient(options);
  const queues = createSqsQueues(client, { prefix, leaseSeconds });
  try {
    await queues.ensure();
  } catch (error) {
    client.close();
    throw error;
  }
  const consumers = new Set<Consumer>();

  function start(name: string, kind: MessageKind, handler: Handler, consumeOptions: ConsumeOptions): Consumer {
    const source = leasedSource({ client, queues, name, kind, leaseSeconds, onError });
    return createConsumer(source, handler, {
      ...consumeOptions,
      onError,
      pollMs: restMs,
      keepLeaseMs: (leaseSeconds * 1_000) / renewalsPerLease,
    });
  }

  return {
    limits: { transactional: false, redeliveryMs: leaseSeconds * 1_000 + restMs },
    publish: (messages) => publish(client, queues, messages),
    async consume(kind, handler, consumeOptions) {
      const shares = sharesOf(consumeOptions.concurrency, handlersPerReceive);
      const parts = shares.map((concurrency) => start(kind, kind, handler, { ...consumeOptions, concurrency }));
      if (onDead) {
        const drain = drainDead(onDead);
        parts.push(start(`${kind}${deadSuffix}`, kind, drain.handler, drain.options));
      }
      const consumer: Consumer = {
        async stop(graceMs) {
          await Promise.all(parts.map((part) => part.stop(graceMs)));
          consumers.delete(consumer);
        },
      };
      consumers.add(consumer);
      return consumer;
    },
    async depth() {
      const counts = await Promise.all(
        messageKinds.map(async (kind) => [kind, await queues.using(kind, (url) => client.count(url))] as const),
      );
      return Object.fromEntries(counts) as Record<MessageKind, number>; // one entry per kind
    },
    async close() {
      await Promise.all([...consumers].map((consumer) => consumer.stop(0)));
      client.close();
    },
  };
}

/** @returns parts of at most `most` that add up to `total` */
function sharesOf(total: number, most: number): number[] {
  return Array.from({ length: Math.ceil(total / most) }, (_, index) => Math.min(most, total - index * most));
}

async function publish(client: SqsClient, queues: SqsQueues, messages: readonly Message[]): Promise<void> {
  const sends = messageKinds.flatMap((kind) => {
    const entries = messages.filter((message) => message.kind === kind).map(toEntry);
    return chunks(entries, batchSize).map((chunk) => queues.using(kind, (url) => sendAll(client, url, chunk)));
  });
  await Promise.all(sends);
}

async function sendAll(client: SqsClient, url: string, entries: readonly SqsEntry[]): Promise<void> {
  let left = entries;
  for (let round = 0; round < sendRounds && left.length > 0; round++) left = await client.send(url, left);
  if (left.length > 0) throw new SqsError('Failed', `SQS did not take ${left.length} of ${entries.length} messages.`);
}

function toEntry({ id, workspaceId }: Message): SqsEntry {
  return { body: JSON.stringify({ id }), groupId: workspaceId ?? null };
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

interface SourceOptions {
  readonly client: SqsClient;
  readonly queues: SqsQueues;
  /** The queue without its prefix. */
  readonly name: string;
  readonly kind: MessageKind;
  readonly leaseSeconds: number;
  readonly onError: (error: Error, while_: string) => void;
}

function leasedSource({ client, queues, name, kind, leaseSeconds, onError }: SourceOptions): LeasedSource<Lease> {
  const batched = (act: (url: string, receipts: readonly string[]) => Promise<void>) =>
    createBatcher({ size: batchSize, gatherMs }, (receipts: readonly string[]) =>
      queues.using(name, (url) => act(url, receipts)),
    );
  const remove = batched((url, receipts) => client.remove(url, receipts));
  const giveBack = batched((url, receipts) => client.keep(url, receipts, 0));
  return {
    waits: true,
    async fetch(limit, signal) {
      const received = await queues.using(name, (url) =>
        client.receive(url, { limit, visibilitySeconds: leaseSeconds, signal }),
      );
      const leased: { message: Message; lease: Lease }[] = [];
      for (const { body, receipt } of received) {
        const id = readId(body);
        if (id !== null) leased.push({ message: { kind, id }, lease: { receipt } });
        else {
          onError(new SqsError('NotOurs', `A message in the queue ${name} is not one of ours.`), 'reading a message');
          await remove(receipt);
        }
      }
      return leased;
    },
    acknowledge: ({ receipt }) => remove(receipt),
    giveBack: ({ receipt }) => giveBack(receipt),
    async keepLeases(leases) {
      const batches = chunks(leases, batchSize).map((batch) =>
        queues.using(name, (url) =>
          client.keep(
            url,
            batch.map(({ receipt }) => receipt),
            leaseSeconds,
          ),
        ),
      );
      await Promise.all(batches);
    },
  };
}

function readId(body: string): string | null {
  try {
    return bodySchema.parse(JSON.parse(body)).id;
  } catch {
    return null;
  }
}
