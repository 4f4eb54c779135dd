import type { Cluster, Redis } from 'ioredis';

export interface RedisListener {
  onMessage(message: string): void;
  /** The subscription is back after it was lost; anything may have been missed before. */
  onSubscribedAgain(): void;
}

export interface Subscriptions {
  subscribe(channel: string, listener: RedisListener): Promise<void>;
  close(): void;
}

/** How often a silent subscription is asked whether it lives: without a question, a dead connection goes unnoticed. */
const pingMs = 10_000;

/** Subscriptions of one server share a connection of their own. */
export function subscribeSingle(client: Redis): Subscriptions {
  let subscriber: Redis | undefined;
  let pinging: NodeJS.Timeout | undefined;

  async function open(): Promise<Redis> {
    const opened = client.duplicate({ lazyConnect: true });
    // The connection for commands reports the same failures.
    opened.on('error', () => {});
    subscriber = opened;
    pinging = setInterval(() => void opened.ping().catch(() => {}), pingMs);
    await opened.connect();
    return opened;
  }

  return {
    async subscribe(channel, listener) {
      const connection = subscriber ?? (await open());
      await listen(connection, channel, listener);
    },
    close() {
      clearInterval(pinging);
      subscriber?.disconnect();
    },
  };
}

/** The client keeps a connection for subscriptions by itself, to any of the nodes. */
export function subscribeCluster(cluster: Cluster): Subscriptions {
  return { subscribe: (channel, listener) => listen(cluster, channel, listener), close: () => {} };
}

async function listen(client: Redis | Cluster, channel: string, listener: RedisListener): Promise<void> {
  client.on('message', (from: string, message: string) => {
    if (from === channel) listener.onMessage(message);
  });
  client.on('ready', () => listener.onSubscribedAgain());
  await client.subscribe(channel);
}
