import type { Message as PubSubMessage, Subscription } from '@google-cloud/pubsub';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { asError } from '../kernel/errors.ts';
import { createHands, type ConsumerReporting } from './consumer.ts';
import type { ConsumeOptions, Consumer, Handler, MessageKind } from './queue.ts';

/** What a consumer needs of Pub/Sub, which pushes. */
export interface PushSource {
  readonly kind: MessageKind;
  /** A new subscription object, not yet listened to. */
  open(): Subscription;
  /** Called when a stream broke for good, before the next is opened. Rejects while Pub/Sub is away. */
  mend(error: Error): Promise<void>;
  /** How long a message stays away whose outcome could not be recorded, or that came early. */
  readonly leaveMs: number;
}

export interface PushConsumer extends Consumer {
  readonly inHand: () => number;
}

/** How long to wait before a broken stream is replaced. */
const reopenMs = 500;
/** How long the last acknowledgements may take. */
const flushMs = 2_000;

const dataSchema = z.object({ id: z.string() });

/** Handles what a stream brings. The client keeps the leases of what it delivered until it is acknowledged or given back. */
export function createPushConsumer(
  source: PushSource,
  handler: Handler,
  options: ConsumeOptions & ConsumerReporting,
): PushConsumer {
  const { onError } = options;
  const hands = createHands<PubSubMessage>(
    {
      acknowledge: async (message) => message.ack(),
      giveBack: async (message) => message.nack(),
      async leave(message, signal) {
        await sleep(source.leaveMs, undefined, { signal }).catch(() => {});
        message.nack();
      },
    },
    handler,
    options,
  );
  /**
   * What came although as much as may be is in hand: Pub/Sub counts a message as gone a moment before we do, or long before when its
   * lease was lost. So it waits for a moment and then goes back, for others.
   */
  const early = new Map<PubSubMessage, NodeJS.Timeout>();
  const stopping = new AbortController();
  const open = new Set<Subscription>();
  let stopped: Promise<void> | undefined;

  function receive(message: PubSubMessage): void {
    if (stopping.signal.aborted) message.nack();
    else if (hands.count() < options.concurrency) take(message);
    else hold(message);
  }

  function hold(message: PubSubMessage): void {
    const timer = setTimeout(() => giveBackEarly(message), source.leaveMs);
    early.set(message, timer);
  }

  function giveBackEarly(message: PubSubMessage): void {
    clearTimeout(early.get(message));
    early.delete(message);
    message.nack();
  }

  function takeEarly(): void {
    const [next] = early.keys();
    if (next === undefined) return;
    clearTimeout(early.get(next));
    early.delete(next);
    receive(next);
  }

  function take(message: PubSubMessage): void {
    const id = readId(message);
    if (id === null) {
      onError(new Error(`A message of the subscription for ${source.kind} is not one of ours.`), 'reading a message');
      message.ack();
      takeEarly();
      return;
    }
    void hands.take({ kind: source.kind, id }, message).then(takeEarly);
  }

  function listen(): void {
    const subscription = source.open();
    open.add(subscription);
    subscription.on('error', (error) => {
      if (!open.delete(subscription)) return;
      void subscription.close().catch(() => {});
      void replace(error);
    });
    subscription.on('message', receive);
  }

  async function replace(broken: Error): Promise<void> {
    let error: Error = broken;
    while (!stopping.signal.aborted) {
      onError(error, 'receiving messages');
      await sleep(reopenMs, undefined, { signal: stopping.signal }).catch(() => {});
      try {
        await source.mend(error);
        break;
      } catch (failure) {
        error = asError(failure);
      }
    }
    if (!stopping.signal.aborted) listen();
  }

  async function stopOnce(graceMs: number): Promise<void> {
    stopping.abort();
    // Closing ends the streams at once; it resolves when nothing is in hand and everything was told.
    const closing = Promise.all([...open].map((subscription) => subscription.close().catch(() => {})));
    for (const message of early.keys()) giveBackEarly(message);
    await hands.drain(graceMs);
    // A handler that did not let go loses its message.
    for (const message of hands.leases()) message.nack();
    const flushed = new AbortController();
    await Promise.race([closing, sleep(flushMs, undefined, { signal: flushed.signal }).catch(() => {})]);
    flushed.abort();
  }

  listen();
  return {
    inHand: () => hands.count(),
    stop: (graceMs) => (stopped ??= stopOnce(graceMs)),
  };
}

function readId({ data }: PubSubMessage): string | null {
  try {
    return dataSchema.parse(JSON.parse(data.toString())).id;
  } catch {
    return null;
  }
}
