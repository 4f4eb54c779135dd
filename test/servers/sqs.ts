/** A server that speaks the language of SQS, in this process. It has no fair ordering, so it only shows what was asked for. */
import { buildApp, type BuildAppOptions } from 'fauxqs';
import { z } from 'zod';
import { freePort } from './spawn.ts';

type Stores = NonNullable<BuildAppOptions['stores']>;

/** A message as it was sent. */
export interface SentEntry {
  readonly queue: string;
  readonly body: string;
  readonly groupId: string | null;
}

export interface SqsServer {
  readonly endpoint: string;
  readonly region: string;
  /** Every message that was sent since the start, in order. */
  sent(): readonly SentEntry[];
  /** Messages in a queue, those in hand included; null when there is no such queue. */
  count(queue: string): number | null;
  /** The settings of a queue; null when there is none. */
  attributes(queue: string): Readonly<Record<string, string>> | null;
  /** From now on a message is given up after so many deliveries. */
  limitReceives(queue: string, most: number): void;
  /** Everyone who has a message of the queue in hand loses it, without being told. */
  loseLeases(queue: string): void;
  /** Puts messages into a queue from which they then come. */
  put(queue: string, body: string): void;
  /** Empties all queues. */
  purge(): void;
  /** Forgets the queues with all that is in them. */
  forget(): void;
  /** Nobody answers from now on; what is in the queues stays. */
  goAway(): Promise<void>;
  /** Serves again, at the same address. */
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

const batchSchema = z.object({
  QueueUrl: z.string(),
  Entries: z.array(z.object({ MessageBody: z.string(), MessageGroupId: z.string().optional() })),
});

/** @param options.region in which all queues are; eu-central-1 by default */
export async function startSqs(options: { readonly region?: string } = {}): Promise<SqsServer> {
  const { region = 'eu-central-1' } = options;
  const port = await freePort();
  const stores = await makeStores();
  const sent: SentEntry[] = [];

  async function serve(): Promise<{ close(): Promise<void> }> {
    const app = buildApp({ logger: false, host: '127.0.0.1', defaultRegion: region, stores });
    app.addHook('preHandler', async ({ headers, body }) => {
      if (headers['x-amz-target'] !== 'AmazonSQS.SendMessageBatch') return;
      const { QueueUrl, Entries } = batchSchema.parse(body);
      const queue = QueueUrl.slice(QueueUrl.lastIndexOf('/') + 1);
      for (const entry of Entries) {
        sent.push({ queue, body: entry.MessageBody, groupId: entry.MessageGroupId ?? null });
      }
    });
    await app.listen({ port, host: '127.0.0.1' });
    return { close: () => app.close().then(() => undefined) };
  }

  let app: Awaited<ReturnType<typeof serve>> | undefined = await serve();
  async function goAway(): Promise<void> {
    await app?.close();
    app = undefined;
  }
  const { sqsStore } = stores;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    region,
    sent: () => sent,
    count(queue) {
      const found = sqsStore.inspectQueue(queue);
      return found ? found.messages.ready.length + found.messages.inflight.length : null;
    },
    attributes: (queue) => sqsStore.inspectQueue(queue)?.attributes ?? null,
    limitReceives(queue, most) {
      const found = sqsStore.getQueueByName(queue);
      const policy: unknown = JSON.parse(found?.attributes['RedrivePolicy'] ?? '{}');
      found?.setAttributes({ RedrivePolicy: JSON.stringify(Object.assign({}, policy, { maxReceiveCount: most })) });
    },
    loseLeases(queue) {
      const inFlight = sqsStore.inspectQueue(queue)?.messages.inflight ?? [];
      for (const { receiptHandle } of inFlight) sqsStore.getQueueByName(queue)?.changeVisibility(receiptHandle, 0);
    },
    put(queue, body) {
      // What the class of the store makes of a body; the module does not export it under its name.
      const { createMessage } = sqsStore.constructor as unknown as { createMessage(body: string): never };
      sqsStore.getQueueByName(queue)?.enqueue(createMessage(body));
    },
    purge: () => sqsStore.clearMessages(),
    forget: () => sqsStore.purgeAll(),
    goAway,
    async comeBack() {
      app ??= await serve();
    },
    stop: goAway,
  };
}

/** The stores of the server, made here so that they outlive it; its package does not export their classes. */
async function makeStores(): Promise<Stores> {
  const make = async (file: string, name: string): Promise<unknown> => {
    const module = (await import(new URL(file, import.meta.resolve('fauxqs')).href)) as Record<
      string,
      new () => unknown
    >;
    const Store = module[name];
    if (!Store) throw new Error(`fauxqs has no ${name} in ${file}`);
    return new Store();
  };
  return {
    sqsStore: await make('./sqs/sqsStore.js', 'SqsStore'),
    snsStore: await make('./sns/snsStore.js', 'SnsStore'),
    s3Store: await make('./s3/s3Store.js', 'S3Store'),
  } as Stores;
}
