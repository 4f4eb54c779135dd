import { Cluster, Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { missingRedis, startRedis, startRedisCluster } from '../../../../test/servers/redis.ts';
import { Secret } from '../kernel/secret.ts';
import type { NotificationPayload } from './notifier.ts';
import { openRedisNotifier, type RedisNotifier } from './redis.ts';

const missing = missingRedis();
const because = missing === null ? '' : ` (${missing})`;
const timestamp = '2026-01-02T03:04:05.678Z';
const never = new AbortController().signal;

const completed = payload('video.completed', {
  job_id: 'vid_1',
  status: 'completed',
  video_url: 'https://dailies.example/v/1.mp4',
});
const failed = payload('video.failed', {
  job_id: 'vid_2',
  status: 'failed',
  error: { code: 'content_policy', message: 'Kling refused the content.', retryable: false },
});

const places = [
  {
    name: 'one server',
    start: async () => {
      const { url, stop } = await startRedis();
      return { url, client: new Redis(url), subscriber: new Redis(url), stop };
    },
  },
  {
    name: 'a cluster',
    start: async () => {
      const { url, stop } = await startRedisCluster();
      return { url, client: new Cluster([url]), subscriber: new Cluster([url]), stop };
    },
  },
];

for (const { name, start } of places) {
  describe.skipIf(missing)(`redis notifications on ${name}${because}`, () => {
    let place: Awaited<ReturnType<typeof start>>;
    let notifier: RedisNotifier;
    const heard: unknown[] = [];
    beforeAll(async () => {
      place = await start();
      notifier = await openRedisNotifier({ urls: [new Secret(place.url)], prefix: 'kling' });
      place.subscriber.on('message', (channel: string, text: string) => heard.push([channel, JSON.parse(text)]));
      await place.subscriber.subscribe('kling:events');
    });
    afterAll(async () => {
      await notifier.close();
      place.client.disconnect();
      place.subscriber.disconnect();
      await place.stop();
    });

    test('a subscriber of kling:events hears the end of a video, with our link to it', async () => {
      const sent = await notifier.send({ id: 'del_1', url: '', payload: completed }, never);
      expect(sent).toEqual({ outcome: 'delivered', status: null });
      await vi.waitFor(() => expect(heard).toHaveLength(1), { timeout: 20_000, interval: 5 });
      const video_url = 'https://dailies.example/v/1.mp4';
      expect(heard[0]).toEqual([
        'kling:events',
        { id: 'del_1', type: 'completed', job_id: 'vid_1', video_url, timestamp },
      ]);
      expect(await place.client.exists('kling:jobs:failed')).toBe(0);
    });

    test('a failed video is heard with its reason and listed in kling:jobs:failed, once however often it is sent', async () => {
      heard.length = 0;
      for (let tries = 0; tries < 2; tries++) await notifier.send({ id: 'del_2', url: '', payload: failed }, never);
      const event = {
        id: 'del_2',
        type: 'failed',
        job_id: 'vid_2',
        video_url: null,
        error_code: 'content_policy',
        message: 'Kling refused the content.',
        timestamp,
      };
      await vi.waitFor(() => expect(heard).toHaveLength(2), { timeout: 20_000, interval: 5 });
      expect(heard).toEqual([
        ['kling:events', event],
        ['kling:events', event],
      ]);
      const listed = await place.client.lrange('kling:jobs:failed', 0, -1);
      expect(listed.map((text) => JSON.parse(text) as unknown)).toEqual([event]);
    });

    test('the list of failed videos keeps the newest 1000', async () => {
      await place.client.rpush('kling:jobs:failed', ...Array.from({ length: 1_200 }, (_, index) => `old ${index}`));
      await notifier.send({ id: 'del_3', url: '', payload: failed }, never);
      expect(await place.client.llen('kling:jobs:failed')).toBe(1_000);
      expect(await place.client.lindex('kling:jobs:failed', 0)).toContain('del_3');
    });
  });
}

describe.skipIf(missing)(`redis notifications without Redis${because}`, () => {
  test('while Redis is away a notification fails in time, and is delivered once it is back', async () => {
    const server = await startRedis({ password: 'hidden-password' });
    const notifier = await openRedisNotifier({ urls: [new Secret(server.url)], prefix: 'kling' });
    const send = () => notifier.send({ id: 'del_4', url: '', payload: completed }, never);
    try {
      expect(await send()).toEqual({ outcome: 'delivered', status: null });
      await server.halt();
      const start = performance.now();
      const sent = await send();
      expect(performance.now() - start).toBeLessThan(6_000);
      expect(sent).toMatchObject({ outcome: 'failed', status: null });
      expect(JSON.stringify(sent)).not.toContain('hidden-password');
      await server.resume();
      await vi.waitFor(async () => expect((await send()).outcome).toBe('delivered'), { timeout: 60_000 });
    } finally {
      await notifier.close();
      await server.stop();
    }
  });

  test('a notifier opens without Redis, and says why its notifications fail', async () => {
    const server = await startRedis();
    await server.stop();
    const notifier = await openRedisNotifier({ urls: [new Secret(server.url)], prefix: 'kling' });
    const sent = await notifier.send({ id: 'del_5', url: '', payload: completed }, never);
    expect(sent).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('ECONNREFUSED') });
    await notifier.close();
  });

  test('a send that is aborted throws the reason', async () => {
    const server = await startRedis();
    await server.stop();
    const notifier = await openRedisNotifier({ urls: [new Secret(server.url)], prefix: 'kling' });
    const controller = new AbortController();
    const sending = notifier.send({ id: 'del_6', url: '', payload: completed }, controller.signal);
    controller.abort(new Error('the worker is shutting down'));
    await expect(sending).rejects.toThrow('the worker is shutting down');
    await notifier.close();
  });
});

function payload(type: string, data: NotificationPayload['data']): NotificationPayload {
  return { type, timestamp, data };
}
