import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'bullmq';
import { Cluster, Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { missingRedis, startRedis, startRedisCluster, type RedisServer } from '../../../../test/servers/redis.ts';
import { Secret } from '../kernel/secret.ts';
import { RedisError } from '../redis/error.ts';
import { openQueue } from './open.ts';
import { queueContract, type QueueSubject } from './queue.contract.ts';
import { messageKinds, type Message, type MessageKind, type Queue } from './queue.ts';

const missing = missingRedis();
const because = missing === null ? '' : ` (${missing})`;
/** Long enough that a busy machine keeps its leases. */
const leaseSeconds = 3;
const prefix = 'test';
const done = { result: 'done' } as const;

interface Place {
  readonly urls: readonly string[];
  /** Of our own, past the queue. */
  readonly client: Redis | Cluster;
  readonly nodes: readonly RedisServer[];
  flush(): Promise<void>;
  settled(): Promise<void>;
  stop(): Promise<void>;
}

const places: { name: string; start: () => Promise<Place> }[] = [
  {
    name: 'one server',
    async start() {
      const server = await startRedis();
      const client = new Redis(server.url, { maxRetriesPerRequest: null });
      client.on('error', () => {});
      const stop = () => (client.disconnect(), server.stop());
      return { urls: [server.url], client, nodes: [server], flush: server.flush, settled: async () => {}, stop };
    },
  },
  {
    name: 'a cluster of three masters',
    async start() {
      const cluster = await startRedisCluster();
      const client = new Cluster([...cluster.urls]);
      client.on('error', () => {});
      return { ...cluster, client, stop: () => (client.disconnect(), cluster.stop()) };
    },
  },
];

for (const { name, start } of places) {
  describe.skipIf(missing)(`redis on ${name}${because}`, () => {
    let place: Place;
    beforeAll(async () => {
      place = await start();
    });
    afterAll(() => place.stop());

    const open = (onError?: (error: Error, while_: string) => void): Promise<Queue> =>
      openQueue({
        driver: 'redis',
        // One address is enough: a server in cluster mode is recognised.
        urls: place.urls.slice(0, 1).map((url) => new Secret(url)),
        prefix,
        leaseSeconds,
        ...(onError && { onError }),
      });

    queueContract(`redis on ${name}`, async (): Promise<QueueSubject> => {
      await place.flush();
      return {
        open,
        takeAndDie: (kind) => takeAndDie(place.client, kind),
        loseLease: (kind) => loseLease(place.client, kind),
        close: async () => {},
      };
    });

    describe('beyond the contract', () => {
      let queue: Queue;
      beforeEach(async () => {
        await place.flush();
        queue = await open();
      });
      afterEach(() => queue.close());

      test('a message reaches an idle handler in milliseconds, without a poll', async () => {
        let arrived = Promise.withResolvers<void>();
        await queue.consume(
          'submit',
          async () => {
            arrived.resolve();
            return done;
          },
          { concurrency: 4, settled: async () => {} },
        );
        const times: number[] = [];
        for (let index = 0; index < 40; index++) {
          arrived = Promise.withResolvers();
          const start = performance.now();
          await queue.publish([message('submit')]);
          await arrived.promise;
          times.push(performance.now() - start);
        }
        const median = times.toSorted((a, b) => a - b)[20]!;
        // oxlint-disable-next-line no-console -- a measurement, shown when asked for
        if (process.env['SHOW_TIMES']) console.log(`${name}: publish to handler p50 ${median.toFixed(1)} ms`);
        expect(median).toBeLessThan(200);
      });

      test('acknowledged messages leave no job behind, and nothing that grows with them', async () => {
        const handled = await record(queue, 'look');
        await queue.publish(Array.from({ length: 500 }, () => message('look')));
        await until(async () => handled.length === 500 && (await queue.depth()).look === 0);
        const keys = await Promise.all(place.nodes.map((node) => keysOf(node.url)));
        expect(keys.flat().filter((key) => /[0-9a-f]{8}-/.test(key))).toEqual([]);
        expect(await place.client.xlen(`${base('look')}:events`)).toBeLessThan(500);
      });

      test('consumers go on with new messages after everything was flushed under them', async () => {
        const errors: string[] = [];
        const other = await open((error) => void errors.push(error.message));
        const release = Promise.withResolvers<void>();
        const before = Array.from({ length: 10 }, () => message('archive'));
        let begun = 0;
        const handled = await record(other, 'archive', 2, async () => {
          begun++;
          await release.promise;
        });
        await queue.publish(before);
        await until(() => begun === 2);
        await place.flush();
        release.resolve();
        await until(() => handled.length === 2);
        const after = Array.from({ length: 10 }, () => message('archive'));
        await queue.publish(after);
        await until(() => handled.length === 12);
        expect(new Set(handled.slice(2).map(({ id }) => id))).toEqual(new Set(after.map(({ id }) => id)));
        await until(async () => (await queue.depth()).archive === 0);
        expect(errors).toEqual([]);
        await other.close();
      });

      test('consumers and publishers go on when a server that ended is back, empty', async () => {
        const other = await open();
        try {
          const handled = new Map<MessageKind, readonly Message[]>();
          for (const kind of messageKinds) handled.set(kind, await record(other, kind));
          for (const node of place.nodes) {
            await node.halt();
            await node.resume();
          }
          await place.settled();
          for (const kind of messageKinds) {
            const after = message(kind);
            await eventuallyPublished(other, after);
            await until(() => handled.get(kind)!.some(({ id }) => id === after.id));
          }
        } finally {
          await other.close();
        }
      });

      test('publishing while the servers are away is refused within 6 s, and closing does not wait for them', async () => {
        const other = await open();
        await record(other, 'submit');
        for (const node of place.nodes) await node.halt();
        try {
          const start = performance.now();
          await expect(other.publish([message('submit')])).rejects.toThrow(RedisError);
          await expect(other.depth()).rejects.toThrow(RedisError);
          expect(performance.now() - start).toBeLessThan(2 * 6_000);
          const closing = performance.now();
          await other.close();
          expect(performance.now() - closing).toBeLessThan(6_000);
        } finally {
          for (const node of place.nodes) await node.resume();
          await place.settled();
        }
      });

      test('publishing to a server that stopped answering is refused within 6 s, and consumers go on when it answers', async () => {
        const handled = await record(queue, 'submit');
        const owner = await ownerOf(place, `${base('submit')}:wait`);
        owner.freeze();
        try {
          const start = performance.now();
          await expect(queue.publish([message('submit')])).rejects.toThrow(RedisError);
          expect(performance.now() - start).toBeLessThan(6_000);
        } finally {
          owner.thaw();
        }
        await place.settled();
        const after = message('submit');
        await eventuallyPublished(queue, after);
        await until(() => handled.some(({ id }) => id === after.id));
      });

      test('the message of a process that was killed comes again within the limit that the queue states', async () => {
        const lost = message('submit');
        await queue.publish([lost]);
        const child = holdInAnotherProcess(place.urls[0]!);
        await once(child.stdout, 'data');
        const handled = await record(queue, 'submit');
        child.kill('SIGKILL');
        await once(child, 'exit');
        const start = performance.now();
        await until(() => handled.length === 1);
        expect(handled).toEqual([lost]);
        expect(performance.now() - start).toBeLessThan(queue.limits.redeliveryMs);
      });

      test('a queue that is closed leaves nothing that keeps its process alive', async () => {
        const child = runInAnotherProcess(
          place.urls[0]!,
          `await queue.publish([{ kind: 'submit', id: 'a' }]);
          await queue.consume('submit', async () => ({ result: 'done' }), { concurrency: 1, settled: async () => {} });
          while ((await queue.depth()).submit > 0);
          await queue.close();`,
        );
        const [code] = await once(child, 'exit');
        expect(code).toBe(0);
      });

      test('a job that names no row is dropped and reported, and does not hold up the others', async () => {
        const errors: string[] = [];
        const other = await open((error) => void errors.push(error.message));
        await place.client.lpush(`${base('look')}:wait`, 'nobody');
        const handled = await record(other, 'look');
        const next = message('look');
        await other.publish([next]);
        await until(async () => handled.length === 1 && (await other.depth()).look === 0);
        expect(errors).toEqual(['A message in {test:look}:messages names no row and is dropped.']);
        await other.close();
      });
    });
  });
}

/** Another process that takes a message, says so and never finishes. */
function holdInAnotherProcess(url: string) {
  return runInAnotherProcess(
    url,
    `const never = () => new Promise(() => console.log('held'));
    await queue.consume('submit', never, { concurrency: 1, settled: async () => {} });`,
  );
}

function runInAnotherProcess(url: string, statements: string) {
  const script = `
    import { openQueue } from ${JSON.stringify(new URL('open.ts', import.meta.url).href)};
    import { Secret } from ${JSON.stringify(new URL('../kernel/secret.ts', import.meta.url).href)};
    const urls = [new Secret(${JSON.stringify(url)})];
    const queue = await openQueue({ driver: 'redis', urls, prefix: '${prefix}', leaseSeconds: ${leaseSeconds} });
    ${statements}`;
  return spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
}

function message(kind: MessageKind): Message {
  return { kind, id: randomUUID() };
}

async function record(
  queue: Queue,
  kind: MessageKind,
  concurrency = 1,
  handle = async () => {},
): Promise<readonly Message[]> {
  const handled: Message[] = [];
  await queue.consume(
    kind,
    async (delivered) => {
      await handle();
      handled.push(delivered);
      return done;
    },
    { concurrency, settled: async () => {} },
  );
  return handled;
}

/** As the sweeper does: publishing that failed is done again. */
async function eventuallyPublished(queue: Queue, next: Message): Promise<void> {
  await until(() => queue.publish([next]).then(() => true));
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await condition())) throw new Error('The condition was not reached in time.');
    },
    { timeout: 50_000, interval: 5 },
  );
}

/** The node that keeps a key. */
async function ownerOf({ nodes }: Place, key: string): Promise<RedisServer> {
  for (const node of nodes) {
    const client = new Redis(node.url);
    const kept = await client.exists(key).then(
      () => true,
      () => false, // MOVED
    );
    client.disconnect();
    if (kept) return node;
  }
  throw new Error(`no node keeps ${key}`);
}

async function keysOf(url: string): Promise<string[]> {
  const client = new Redis(url);
  try {
    return await client.keys('*');
  } finally {
    client.disconnect();
  }
}

const base = (kind: MessageKind): string => `{${prefix}:${kind}}:messages`;

/** Takes a job the way the engine does, with a lock that is over at once. */
async function takeAndDie(client: Redis | Cluster, kind: MessageKind): Promise<void> {
  const worker = new Worker('messages', null, {
    connection: client,
    prefix: `{${prefix}:${kind}}`,
    autorun: false,
    lockDuration: 1,
  });
  expect(await worker.getNextJob('dead', { block: false })).toBeDefined();
  await worker.close(true);
}

/** What happens to the lock of a process that was away for longer than its lease. */
async function loseLease(client: Redis | Cluster, kind: MessageKind): Promise<void> {
  const active = await client.lrange(`${base(kind)}:active`, 0, -1);
  expect(active).toHaveLength(1);
  await client.del(`${base(kind)}:${active[0]}:lock`);
}
