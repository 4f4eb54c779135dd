import { drainDead } from './dead.ts';
import type { PubSubQueueOptions, QueueReporting } from './open.ts';
import { createPubSubClient, describePubSubError, isMissing } from './pubsub-client.ts';
import { createPushConsumer, type PushConsumer } from './pubsub-consumer.ts';
import { messageKinds, type Consumer, type MessageKind, type Queue } from './queue.ts';

/** A message in hand is nobody else's for this long, and kept so by the client while this process lives; Pub/Sub allows 10 s or more. */
const usualLeaseSeconds = 20;
/** How long the messages of a dead process may take to be offered again after their leases. */
const slackMs = 5_000;

const deadOf = (kind: MessageKind) => `${kind}-dead` as const;

/**
 * Messages on topics of Google Cloud Pub/Sub, one per kind with a subscription of the same name, and one for each kind's dead letters.
 * Pub/Sub may take a late acknowledgement for a message that it delivered again; the sweeper publishes again what is still due.
 * @throws PubSubError when Pub/Sub cannot be used
 */
export async function openPubSubQueue(options: PubSubQueueOptions & QueueReporting): Promise<Queue> {
  const { leaseSeconds = usualLeaseSeconds, onError = () => {}, onDead } = options;
  const client = createPubSubClient({ ...options, leaseSeconds });
  const consumers = new Set<Consumer & { readonly kind: MessageKind; readonly main: PushConsumer }>();

  let ensuring: Promise<void> | undefined;
  function ensure(): Promise<void> {
    ensuring ??= Promise.all(
      messageKinds.map(async (kind) => {
        await client.ensure(deadOf(kind), null);
        await client.ensure(kind, deadOf(kind));
      }),
    )
      .then(() => {})
      .finally(() => {
        ensuring = undefined;
      });
    return ensuring;
  }

  async function publish(kind: MessageKind, bodies: readonly string[]): Promise<void> {
    try {
      await client.publish(kind, bodies);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await ensure();
      await client.publish(kind, bodies);
    }
  }

  const sourceOf = (kind: MessageKind, name: string, concurrency: number) => ({
    kind,
    open: () => client.subscription(name, concurrency),
    async mend(error: Error) {
      if (isMissing(describePubSubError(error))) await ensure();
    },
    leaveMs: leaseSeconds * 1_000,
  });

  try {
    await ensure();
  } catch (error) {
    await client.close();
    throw error;
  }

  return {
    limits: { transactional: false, redeliveryMs: leaseSeconds * 1_000 + slackMs },
    async publish(messages) {
      const byKind = messageKinds.map((kind) => ({
        kind,
        bodies: messages.filter((message) => message.kind === kind).map(({ id }) => JSON.stringify({ id })),
      }));
      await Promise.all(
        byKind.filter(({ bodies }) => bodies.length > 0).map(({ kind, bodies }) => publish(kind, bodies)),
      );
    },
    async consume(kind, handler, consumeOptions) {
      const { concurrency } = consumeOptions;
      const main = createPushConsumer(sourceOf(kind, kind, concurrency), handler, { ...consumeOptions, onError });
      const parts: Consumer[] = [main];
      if (onDead) {
        const drain = drainDead(onDead);
        const source = sourceOf(kind, deadOf(kind), drain.options.concurrency);
        parts.push(createPushConsumer(source, drain.handler, { ...drain.options, onError }));
      }
      const consumer = {
        kind,
        main,
        async stop(graceMs: number) {
          await Promise.all(parts.map((part) => part.stop(graceMs)));
          consumers.delete(consumer);
        },
      };
      consumers.add(consumer);
      return consumer;
    },
    async depth() {
      const counts = { submit: 0, look: 0, archive: 0, notify: 0 };
      for (const { kind, main } of consumers) counts[kind] += main.inHand();
      return counts;
    },
    async close() {
      await Promise.all([...consumers].map((consumer) => consumer.stop(0)));
      await client.close();
    },
  };
}
