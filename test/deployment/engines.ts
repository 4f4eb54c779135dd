/** The engines that can carry a deployment's messages, each as a server of its own on this machine. */
import { askPostgres } from '../servers/postgres.ts';
import { startPubSub } from '../servers/pubsub.ts';
import { startRedis, startRedisCluster } from '../servers/redis.ts';
import { startSqs } from '../servers/sqs.ts';

export const engineNames = ['postgres', 'redis', 'redis-cluster', 'sqs', 'pubsub'] as const;
export type EngineName = (typeof engineNames)[number];

export interface Engine {
  readonly name: EngineName;
  /** What a process needs to be told to use it. */
  readonly env: Readonly<Record<string, string>>;
  /** Throws away every message, as a failed engine would. @returns what was done, in words */
  empty(): Promise<string>;
  stop(): Promise<void>;
}

/** @param databaseUrl the database of record, which is an engine, too */
export async function startEngine(name: EngineName, databaseUrl: string): Promise<Engine> {
  switch (name) {
    case 'postgres':
      return {
        name,
        env: { QUEUE_ENGINE: 'postgres' },
        empty: async () => {
          await askPostgres(databaseUrl, 'delete from queue.job');
          return 'every job deleted';
        },
        stop: async () => {},
      };
    case 'redis': {
      const redis = await startRedis();
      return {
        name,
        env: { REDIS_URL: redis.url },
        empty: async () => {
          await redis.flush();
          return 'FLUSHALL';
        },
        stop: redis.stop,
      };
    }
    case 'redis-cluster': {
      const cluster = await startRedisCluster();
      return {
        name,
        env: { REDIS_URL: cluster.url },
        empty: async () => {
          await cluster.flush();
          return 'FLUSHALL on every master';
        },
        stop: cluster.stop,
      };
    }
    case 'sqs': {
      const sqs = await startSqs();
      return {
        name,
        env: {
          SQS_QUEUE_PREFIX: 'story',
          SQS_ENDPOINT: sqs.endpoint,
          AWS_REGION: sqs.region,
          AWS_ACCESS_KEY_ID: 'story',
          AWS_SECRET_ACCESS_KEY: 'story',
        },
        empty: async () => {
          sqs.purge();
          return 'every queue purged';
        },
        stop: sqs.stop,
      };
    }
    case 'pubsub': {
      const pubsub = await startPubSub();
      return {
        name,
        env: {
          PUBSUB_TOPIC_PREFIX: 'story',
          PUBSUB_EMULATOR_HOST: pubsub.host,
          GOOGLE_CLOUD_PROJECT: pubsub.projectId,
        },
        empty: async () => {
          pubsub.purge();
          return 'every subscription purged';
        },
        stop: pubsub.stop,
      };
    }
    default:
      throw new Error(`unknown engine ${JSON.stringify(name satisfies never)}`);
  }
}
