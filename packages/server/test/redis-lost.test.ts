import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { missingRedis, startRedis, startRedisCluster } from '../../../test/servers/redis.ts';
import { compose } from '../src/compose.ts';
import { readConfig } from '../src/config.ts';
import { createLogger } from '../src/monitoring/log.ts';

// The whole platform with its messages in Redis, which loses them again and again while videos are being made.

const missing = missingRedis();
const videos = 12;

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
      const platform = await startPlatform(redis.url);
      const created = await Promise.all(
        Array.from({ length: videos }, (_, index) => platform.call('/api/videos', { prompt: `red fox ${index}` })),
      );
      let times = 0;
      let ended = 0;
      const deadline = performance.now() + 100_000;
      while (ended < videos && performance.now() < deadline) {
        if (times < 10) {
          await redis.lose();
          times++;
        }
        await sleep(150);
        const states = await Promise.all(created.map(({ job_id: id }) => platform.call(`/api/videos/${id}`)));
        ended = states.filter(({ status }) => status === 'completed').length;
      }
      expect(ended).toBe(videos);
      expect(times).toBeGreaterThanOrEqual(3);
      expect(await platform.stats()).toMatchObject({ creates_accepted: videos, max_creates_per_external_id: 1 });
    },
  );
});

interface Answer {
  readonly job_id: string;
  readonly status: string;
}

async function startPlatform(redisUrl: string) {
  const folder = await mkdtemp(join(tmpdir(), 'dailies-redis-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const environment = {
    REDIS_URL: redisUrl,
    KLING_PROVIDER: 'sandbox',
    KLING_CONCURRENCY: '4',
    SANDBOX_SPEED: '60',
    SWEEP_INTERVAL: '100',
    REPUBLISH_AFTER: '300',
    DATA_DIR: folder,
    PORT: '0',
    CALLBACKS_PORT: '0',
    SANDBOX_PORT: '0',
  };
  const platform = await compose(readConfig(environment, 'serve'), createLogger({ level: 'silent', format: 'json' }));
  onTestFinished(() => platform.close());
  return {
    async call(path: string, body?: unknown): Promise<Answer> {
      const response = await fetch(`${platform.urls.api}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${platform.localKey}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      return (await response.json()) as Answer;
    },
    async stats(): Promise<unknown> {
      return (await fetch(`${platform.urls.sandbox}/_sandbox/stats`)).json();
    },
  };
}
