import { Worker } from 'bullmq';
import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { missingRedis, startRedis, startRedisCluster, type RedisServer } from '../../../../test/servers/redis.ts';
import { Secret } from '../kernel/secret.ts';
import { openQueue } from './open.ts';
import { queueContract, type QueueSubject } from './queue.contract.ts';
import type { MessageKind, Queue } from './queue.ts';

const missing = missingRedis();
const because = missing === null ? '' : ` (${missing})`;
/** Long enough that a busy machine keeps its leases. */
const leaseSeconds = 3;
const prefix = 'test';

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
  });
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
