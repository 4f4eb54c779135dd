import { describe, onTestFinished, test } from 'vitest';
import { missingRedis, startRedis, startRedisCluster } from '../../../test/servers/redis.ts';
import { makeVideosWhileLosing } from './support/losing.ts';

// The whole platform with its messages in Redis, which loses them again and again while videos are being made.

const missing = missingRedis();

const losses = [
  {
    name: 'FLUSHALL on one server',
    start: async () => {
      const server = await startRedis();
      return { url: server.url, lose: server.flush, stop: server.stop };
    },
  },
  {
    name: 'the end and return of one server',
    start: async () => {
      const { url, halt, resume, stop } = await startRedis();
      return { url, lose: () => halt().then(resume), stop };
    },
  },
  {
    name: 'FLUSHALL on every node of a cluster',
    start: async () => {
      const cluster = await startRedisCluster();
      return { url: cluster.url, lose: cluster.flush, stop: cluster.stop };
    },
  },
];

describe.skipIf(missing)(`the platform on Redis${missing === null ? '' : ` (${missing})`}`, () => {
  test.each(losses)(
    'every video ends, paid once, whatever Redis loses meanwhile: $name',
    { timeout: 120_000 },
    async ({ start }) => {
      const redis = await start();
      onTestFinished(redis.stop);
      await makeVideosWhileLosing({ REDIS_URL: redis.url }, redis.lose);
    },
  );
});
