/**
 * Connections to Redis, for the areas above. Nothing waits without an end: while the server is away, commands fail at once or
 * within `commandMs`, and the connection comes back by itself. Errors are our own: those of the client carry the arguments
 * of the command, which may be a password.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { asError } from '../kernel/errors.ts';
import { backoffMs } from '../kernel/retry.ts';
import type { RedisConfig } from './config.ts';
import { messageOf, RedisError } from './error.ts';
import { openSubscription, type NodeOptions, type RedisListener, type Subscription } from './subscription.ts';

export interface RedisConnection {
  readonly client: Redis | Cluster;
  /** Whether commands can be sent now. */
  isReady(): boolean;
  /**
   * Repeats an action that may be done twice while the server cannot be used, for up to `patienceMs`.
   * @throws RedisError
   */
  patiently<T>(action: () => Promise<T>): Promise<T>;
  /** Listens to a channel until the connection is closed, from now on or as soon as that is possible. */
  subscribe(channel: string, listener: RedisListener): Promise<void>;
  /** Lets go at once; commands under way are rejected. */
  close(): void;
}

export interface RedisReporting {
  /** Told once when the server is lost, until it is back. */
  readonly onError: (error: Error, while_: string) => void;
}

/** How long one command may take in all. */
const commandMs = 2_000;
/** How long an action is repeated, the last try included. */
const patienceMs = 5_000;
const openMs = 5_000;
const reconnecting = { baseMs: 50, capMs: 2_000 };
/** Answers that say: not now, but soon. */
const passing = /^(LOADING|CLUSTERDOWN|READONLY|MASTERDOWN|TRYAGAIN|NOREPLICAS|BUSY|UNBLOCKED)\b/;

/** Answers that only a person can change. */
const refusal = /^(WRONGPASS|NOAUTH|NOPERM)\b/;

/**
 * Connects to a server, or to the cluster that it or the given nodes belong to.
 * @throws RedisError when that is not possible within 5 s
 */
export async function openRedis(config: RedisConfig, { onError }: RedisReporting): Promise<RedisConnection> {
  const nodes = config.urls.map((url) => serverOptions(url.reveal()));
  const [first] = nodes;
  if (first === undefined) throw new RedisError('No address of Redis was given.');
  const address = `${first.host}:${first.port}`;
  if (nodes.length === 1) {
    const single = await ready(new Redis({ ...first, ...singleOptions }), address);
    if (!(await isClustered(single))) return operate(single, () => ({ ...first, ...common }), onError);
    single.disconnect();
  }
  const client = new Cluster(
    nodes.map(({ host, port }) => ({ host, port })),
    clusterOptions(first),
  );
  const cluster = await ready(client, address);
  const anyNode = (): NodeOptions => {
    const { host = first.host, port = first.port } = sample(cluster.nodes())?.options ?? sample(nodes) ?? first;
    return { ...first, ...common, host, port, db: 0 };
  };
  return operate(cluster, anyNode, onError);
}

function sample<T>(items: readonly T[]): T | undefined {
  return items[Math.floor(Math.random() * items.length)];
}

const wait = (tries: number): number => backoffMs(reconnecting, tries - 1, Math.random());

const common = { connectTimeout: commandMs, commandTimeout: commandMs, socketTimeout: 2 * commandMs } as const;

/** Nothing is kept for later: a command that its caller gave up must not run minutes afterwards. */
const singleOptions = {
  ...common,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: wait,
  // A server that lost its place to another: its name leads to that one by now.
  reconnectOnError: ({ message }) => message.startsWith('READONLY'),
} as const satisfies RedisOptions;

function clusterOptions({ username, password, tls }: ServerOptions): ConstructorParameters<typeof Cluster>[1] {
  return {
    enableOfflineQueue: false,
    clusterRetryStrategy: wait,
    slotsRefreshTimeout: commandMs,
    redisOptions: { ...common, username, password, tls },
    // Certificates are issued to names, so names are kept where they are checked.
    ...(tls && { dnsLookup: (host, callback) => callback(null, host) }),
  };
}

interface ServerOptions extends Pick<RedisOptions, 'username' | 'password' | 'tls' | 'db'> {
  readonly host: string;
  readonly port: number;
}

function serverOptions(address: string): ServerOptions {
  const url = new URL(address);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return {
    host,
    port: Number(url.port || 6379),
    username: url.username === '' ? undefined : decodeURIComponent(url.username),
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    tls: url.protocol === 'rediss:' ? { servername: host } : undefined,
    db: Number(url.pathname.slice(1) || 0),
  };
}

/** Waits for the first connection. @throws RedisError with the last failure */
async function ready<Client extends Redis | Cluster>(client: Client, address: string): Promise<Client> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let last = `no answer within ${openMs / 1_000} s`;
  const give = (): void => reject(new RedisError(`Redis at ${address} cannot be used: ${last}`));
  const timer = setTimeout(give, openMs);
  client.on('error', (error: Error) => {
    last = messageOf(error);
    if (refusal.test(last)) give();
  });
  client.once('ready', resolve);
  try {
    await promise;
  } catch (error) {
    client.disconnect();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  return client;
}

async function isClustered(client: Redis): Promise<boolean> {
  // A user who may not ask is taken to have been given the kind of address that needs no asking.
  const info = await client.info('cluster').catch(() => '');
  return info.includes('cluster_enabled:1');
}

function operate(
  client: Redis | Cluster,
  chooseNode: () => NodeOptions,
  onError: RedisReporting['onError'],
): RedisConnection {
  const subscriptions: Subscription[] = [];
  let isUsable = true;
  function report(message: string): void {
    if (isUsable) onError(new RedisError(message), 'talking to Redis');
    isUsable = false;
  }
  client.on('ready', () => {
    isUsable = true;
  });
  client.on('error', (error: Error) => report(messageOf(error)));
  client.on('close', () => report('The connection was lost.'));
  return {
    client,
    isReady: () => client.status === 'ready',
    patiently,
    async subscribe(channel, listener) {
      subscriptions.push(await openSubscription(chooseNode, channel, listener));
    },
    close() {
      isUsable = false;
      for (const subscription of subscriptions) subscription.close();
      client.disconnect();
    },
  };
}

async function patiently<T>(action: () => Promise<T>): Promise<T> {
  const end = performance.now() + patienceMs;
  for (let tries = 1; ; tries++) {
    try {
      return await within(end - performance.now(), action());
    } catch (error) {
      const pause = wait(tries);
      if (!mayPass(error) || performance.now() + pause >= end) throw new RedisError(messageOf(error));
      await sleep(pause);
    }
  }
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new RedisError('Redis did not answer in time.')), ms);
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** An answer of the server is final unless it says otherwise; whatever happens on the way there is not. */
function mayPass(error: unknown): boolean {
  const { name, message } = asError(error);
  return name !== 'ReplyError' || passing.test(message);
}
