/** Google Cloud Pub/Sub as the queue uses it: every call ends in time, and what is missing is made. */
import { Duration, PubSub, SubscriptionCloseBehaviors, type Subscription, type Topic } from '@google-cloud/pubsub';
import { asError } from '../kernel/errors.ts';

/** What Pub/Sub answered, or why it could not be asked. */
export class PubSubError extends Error {
  override readonly name = 'PubSubError';
  /** Of gRPC; null when the call did not get that far. */
  readonly code: number | null;

  constructor(code: number | null, message: string) {
    super(message);
    this.code = code;
  }
}

export interface PubSubClientOptions {
  readonly prefix: string;
  readonly projectId: string | null;
  readonly emulatorHost: string | null;
  readonly leaseSeconds: number;
}

/** A topic and the subscription of the same name. Names are without the prefix here. */
export interface PubSubClient {
  /** Makes a topic with its subscription where there is none; one that exists is left as its owner made it. */
  ensure(name: string, deadName: string | null): Promise<void>;
  /** Publishes all, or rejects within seconds; some may have been taken then. */
  publish(name: string, bodies: readonly string[]): Promise<void>;
  /** A new object for each consumer: its stream and its leases are its own. */
  subscription(name: string, maxMessages: number): Subscription;
  close(): Promise<void>;
}

const notFound = 5;
const alreadyExists = 6;

/** How long a call may take in all, its repetitions included. */
const callMs = 4_000;
/** How long publishes wait for each other: those of one call come together anyway. */
const publishGatherMs = 1;
/** How long acknowledgements wait for each other. */
const gatherMs = 5;
const maxReconnectMs = 2_000;
/** Longer than any handler takes: a subscription that is closing keeps its leases for this long. */
const longestHandler = Duration.from({ hours: 1 });

/**
 * Deliveries after which Pub/Sub gives a message up: the most that it allows. Crashes are counted in rows and end before; this is
 * only reached when outcomes cannot be recorded for long, or when processes die again and again.
 */
const maxDeliveryAttempts = 100;

/** What nobody took for a day is published again from its row if needed; dead letters stay as long as Pub/Sub keeps anything. */
const keptSeconds = 86_400;
const deadKeptSeconds = 31 * 86_400;

export function createPubSubClient({
  prefix,
  projectId,
  emulatorHost,
  leaseSeconds,
}: PubSubClientOptions): PubSubClient {
  const pubsub = new PubSub(
    emulatorHost === null
      ? { ...(projectId !== null && { projectId }) }
      : // What is not said here the client looks for in the surroundings of a cloud, which takes seconds where there is none.
        {
          projectId: projectId ?? 'emulator',
          apiEndpoint: emulatorHost,
          emulatorMode: true,
          universeDomain: 'googleapis.com',
        },
  );
  const gaxOpts = { timeout: callMs };
  const topics = new Map<string, Topic>();
  const lease = Duration.from({ seconds: leaseSeconds });

  function topicOf(name: string): Topic {
    const known = topics.get(name);
    if (known) return known;
    const batching = { maxMilliseconds: publishGatherMs };
    const topic = pubsub.topic(`${prefix}-${name}`, { batching, gaxOpts });
    topics.set(name, topic);
    return topic;
  }

  /** @returns false when it is missing */
  async function exists(thing: { getMetadata(options: typeof gaxOpts): Promise<unknown> }): Promise<boolean> {
    try {
      await inTime(thing.getMetadata(gaxOpts));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  /** Another process may make it at the same time. */
  async function make(making: Promise<unknown>): Promise<void> {
    try {
      await inTime(making);
    } catch (error) {
      if (!(error instanceof PubSubError && error.code === alreadyExists)) throw error;
    }
  }

  return {
    async ensure(name, deadName) {
      const topic = topicOf(name);
      if (!(await exists(topic))) await make(topic.create(gaxOpts));
      const subscription = pubsub.subscription(topic.name.slice(topic.name.lastIndexOf('/') + 1));
      if (await exists(subscription)) return;
      const deadTopic = deadName === null ? null : topicOf(deadName).name;
      const making = topic.createSubscription(`${prefix}-${name}`, {
        gaxOpts,
        ackDeadlineSeconds: leaseSeconds,
        messageRetentionDuration: { seconds: deadTopic === null ? deadKeptSeconds : keptSeconds },
        // Without a time: a platform that rests for a month finds its subscriptions again.
        expirationPolicy: {},
        ...(deadTopic !== null && { deadLetterPolicy: { deadLetterTopic: deadTopic, maxDeliveryAttempts } }),
      });
      await make(making);
    },
    async publish(name, bodies) {
      const topic = topicOf(name);
      const publishing = bodies.map((body) => topic.publishMessage({ data: Buffer.from(body) }));
      await inTime(Promise.all(publishing));
    },
    subscription: (name, maxMessages) =>
      pubsub.subscription(`${prefix}-${name}`, {
        minAckDeadline: lease,
        maxAckDeadline: lease,
        maxExtensionTime: longestHandler,
        flowControl: { maxMessages, allowExcessMessages: true },
        streamingOptions: { maxStreams: 1, retryMaxBackoff: Duration.from({ millis: maxReconnectMs }) },
        batching: { maxMilliseconds: gatherMs },
        closeOptions: { behavior: SubscriptionCloseBehaviors.WaitForProcessing, timeout: longestHandler },
      }),
    close: () => pubsub.close(),
  };
}

export function isMissing(error: unknown): boolean {
  return error instanceof PubSubError && error.code === notFound;
}

/** @throws PubSubError */
async function inTime<T>(action: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new PubSubError(null, `Pub/Sub did not answer within ${callMs / 1_000} s.`)),
    callMs,
  );
  try {
    return await Promise.race([action, late]);
  } catch (error) {
    throw describePubSubError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** An error of our own: those of the client carry the metadata of the call. */
export function describePubSubError(thrown: unknown): PubSubError {
  if (thrown instanceof PubSubError) return thrown;
  const error = asError(thrown);
  const code = 'code' in error && typeof error.code === 'number' ? error.code : null;
  const [line = ''] = error.message.split('\n');
  return new PubSubError(code, `Pub/Sub: ${line.slice(0, 300)}`);
}
