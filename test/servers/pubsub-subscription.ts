/** A subscription of the Pub/Sub test server: what waits, what is leased to whom, and until when. */

/** A message as it travels; the server looks only at what it has to. */
export interface PubSubMessage {
  readonly data?: Buffer;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly messageId?: string;
  readonly publishTime?: { readonly seconds: string; readonly nanos: number };
}

export interface SubscriptionConfig {
  readonly name: string;
  readonly topic: string;
  readonly ackDeadlineSeconds?: number;
  readonly deadLetterPolicy?: { readonly deadLetterTopic: string; readonly maxDeliveryAttempts?: number } | null;
}

export interface Delivery {
  readonly ackId: string;
  readonly message: PubSubMessage;
  readonly deliveryAttempt: number;
}

/** A consumer that gets messages as they come, up to as many as it wants to have in hand; 0 is any number. */
export interface Stream {
  maxOutstanding: number;
  deadlineSeconds: number;
  deliver(delivery: Delivery): void;
}

interface Waiting {
  readonly message: PubSubMessage;
  attempts: number;
}

interface Lease {
  readonly waiting: Waiting;
  readonly stream: Stream | null;
  timer: NodeJS.Timeout;
}

export interface Subscription {
  readonly config: SubscriptionConfig;
  add(message: PubSubMessage): void;
  /** Hands out up to `limit` messages at once. */
  pull(limit: number, deadlineSeconds?: number): Delivery[];
  attach(stream: Stream): void;
  /** Leases that the stream has run on. */
  detach(stream: Stream): void;
  acknowledge(ackId: string): void;
  /** 0 gives the message back. */
  extend(ackId: string, seconds: number): void;
  /** Everyone loses what he has in hand, without being told. */
  loseLeases(): void;
  count(): number;
  purge(): void;
}

const usualDeadlineSeconds = 10;
const usualMaxAttempts = 5;

/** @param bury publishes what was delivered too often to the dead-letter topic */
export function createSubscription(
  config: SubscriptionConfig,
  bury: (topic: string, message: PubSubMessage) => void,
): Subscription {
  const waiting: Waiting[] = [];
  const leases = new Map<string, Lease>();
  const streams = new Set<Stream>();
  let lastAckId = 0;

  const heldBy = (stream: Stream): number => [...leases.values()].filter((lease) => lease.stream === stream).length;
  const hasRoom = (stream: Stream): boolean => stream.maxOutstanding === 0 || heldBy(stream) < stream.maxOutstanding;

  function lease(entry: Waiting, seconds: number, stream: Stream | null): Delivery {
    const ackId = `${config.name}:${++lastAckId}`;
    entry.attempts++;
    leases.set(ackId, { waiting: entry, stream, timer: expiry(ackId, seconds) });
    const deliveryAttempt = config.deadLetterPolicy ? entry.attempts : 0;
    return { ackId, message: entry.message, deliveryAttempt };
  }

  function expiry(ackId: string, seconds: number): NodeJS.Timeout {
    return setTimeout(() => giveBack(ackId), seconds * 1_000).unref();
  }

  function release(ackId: string): Waiting | undefined {
    const held = leases.get(ackId);
    clearTimeout(held?.timer);
    leases.delete(ackId);
    return held?.waiting;
  }

  function giveBack(ackId: string): void {
    const entry = release(ackId);
    const policy = config.deadLetterPolicy;
    if (entry && policy && entry.attempts >= (policy.maxDeliveryAttempts ?? usualMaxAttempts)) {
      bury(policy.deadLetterTopic, entry.message);
    } else if (entry) waiting.unshift(entry);
    pump();
  }

  function pump(): void {
    while (waiting.length > 0) {
      const stream = [...streams].find(hasRoom);
      const entry = stream && waiting.shift();
      if (!entry) return;
      // The next message goes to another stream, where there is one.
      streams.delete(stream);
      streams.add(stream);
      stream.deliver(lease(entry, stream.deadlineSeconds || deadline(), stream));
    }
  }

  const deadline = (): number => config.ackDeadlineSeconds || usualDeadlineSeconds;

  return {
    config,
    add(message) {
      waiting.push({ message, attempts: 0 });
      pump();
    },
    pull: (limit, seconds = deadline()) => waiting.splice(0, limit).map((entry) => lease(entry, seconds, null)),
    attach(stream) {
      streams.add(stream);
      pump();
    },
    detach: (stream) => void streams.delete(stream),
    acknowledge(ackId) {
      release(ackId);
      pump();
    },
    extend(ackId, seconds) {
      const held = leases.get(ackId);
      if (!held) return;
      if (seconds === 0) {
        giveBack(ackId);
        return;
      }
      clearTimeout(held.timer);
      held.timer = expiry(ackId, seconds);
    },
    loseLeases() {
      // Whoever listens gets new leases at once, which are not lost.
      const lost = [...leases.keys()];
      for (const ackId of lost) giveBack(ackId);
    },
    count: () => waiting.length + leases.size,
    purge() {
      waiting.length = 0;
      for (const ackId of leases.keys()) release(ackId);
    },
  };
}
