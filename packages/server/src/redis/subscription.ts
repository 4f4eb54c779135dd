import { Redis, type RedisOptions } from 'ioredis';
import { backoffMs } from '../kernel/retry.ts';

export interface RedisListener {
  onMessage(message: string): void;
  /** Subscribed, for the first time or again; anything may have been missed before. */
  onSubscribed(): void;
}

export type NodeOptions = Omit<RedisOptions, 'replyMapping'>;

export interface Subscription {
  close(): void;
}

const reconnecting = { baseMs: 50, capMs: 2_000 };
/** How often a silent subscription is asked whether it lives: without a question, a dead connection goes unnoticed. */
const pingMs = 10_000;

/**
 * Listens to a channel over a connection of its own, and replaces that whenever it breaks. In a cluster every node hears of every
 * message, so any will do; the client's own subscriber for clusters tries again without a pause while its node is away.
 *
 * Resolves after the first try, subscribed or not: whoever listens must not depend on it.
 * @param choose where to connect, asked for every try
 */
export async function openSubscription(
  choose: () => NodeOptions,
  channel: string,
  listener: RedisListener,
): Promise<Subscription> {
  let current: Redis | undefined;
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let closed = false;

  async function connect(): Promise<void> {
    const client = new Redis({ ...choose(), lazyConnect: true, retryStrategy: null });
    current = client;
    // The connection for commands reports the same failures.
    client.on('error', () => {});
    client.on('message', (_channel, message: string) => listener.onMessage(message));
    const pinging = setInterval(() => void client.ping().catch(() => {}), pingMs);
    client.once('end', () => {
      clearInterval(pinging);
      if (!closed) timer = setTimeout(() => void connect(), backoffMs(reconnecting, failures++, Math.random()));
    });
    try {
      await client.connect();
      await client.subscribe(channel);
      failures = 0;
      listener.onSubscribed();
    } catch {
      client.disconnect();
    }
  }

  await connect();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      current?.disconnect();
    },
  };
}
