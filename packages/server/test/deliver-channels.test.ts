import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { missingRedis, startRedis } from '../../../test/servers/redis.ts';
import type { Database } from '../src/db/database.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { Secret } from '../src/kernel/secret.ts';
import { openRedisNotifier } from '../src/notifications/redis.ts';
import { startWebhookReceiver } from '../src/notifications/webhook-receiver.testing.ts';
import { createWebhookNotifier, type WebhookNotifier } from '../src/notifications/webhook.ts';
import type { Handler } from '../src/queue/queue.ts';
import { recordCrash } from '../src/videos/dead-letters.ts';
import { createDeliver, type DeliverDeps } from '../src/worker/deliver.ts';
import { openArchiving } from './support/archiving.ts';
import { testWorkspace } from './support/core.ts';
import { openTestDatabase } from './support/database.ts';
import { openKlingCore, type KlingCoreSettings } from './support/kling-core.ts';

const secret = new Secret(`whsec_${Buffer.from('a secret of thirty-two bytes, ok').toString('base64')}`);
const never = new AbortController().signal;
let database: Database;
let receiver: Awaited<ReturnType<typeof startWebhookReceiver>>;
let webhook: WebhookNotifier;
beforeAll(async () => {
  database = await openTestDatabase();
  receiver = await startWebhookReceiver();
  webhook = createWebhookNotifier({ secret, allowLoopback: true }, { clock: systemClock });
});
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer = (response) => void response.writeHead(204).end();
});
afterAll(async () => {
  await webhook.close();
  await receiver.close();
  await database.close();
});

/** The core before a sandbox, with a sender whose links say how many were made. */
async function openTelling(settings: KlingCoreSettings = {}, deps: Partial<DeliverDeps> = {}) {
  const core = await openKlingCore(database, settings);
  let links = 0;
  const linkTo = () => Promise.resolve(`https://videos.example.com/${++links}`);
  const deliver = createDeliver(core.context, { webhook, redis: null, linkTo, ...deps });
  return { core, ...openArchiving(core), tell: (id: string) => tell(deliver, id), deliver };
}

const tell = (deliver: Handler, id: string) => deliver({ kind: 'notify', id }, never);

/** The deliveries of a video in the order of their events, with the type of each. */
async function deliveriesOf(videoId: string) {
  return database.kysely
    .selectFrom('deliveries')
    .innerJoin('events', 'events.id', 'deliveries.event_id')
    .selectAll('deliveries')
    .select('events.type')
    .where('deliveries.video_id', '=', videoId)
    .orderBy('events.seq')
    .orderBy('deliveries.channel')
    .execute();
}

const bodies = () =>
  receiver.received.map(({ body }) => JSON.parse(body) as { type: string; data: Record<string, unknown> });

describe('what tells of a file', () => {
  test('carries a link of ours that is made for every try, and none when the file was deleted since', async () => {
    const { core, archive, succeed, tell } = await openTelling();
    const videoId = await succeed({ webhook_url: receiver.url });
    await archive(videoId);
    const [delivery] = await deliveriesOf(videoId);
    receiver.answer = (response) => void response.writeHead(503).end();
    await tell(delivery!.id);
    await core.advance(5_000);
    await tell(delivery!.id);
    await core.advance(300_000);
    await core.videos.delete(videoId, testWorkspace);
    await tell(delivery!.id);
    expect(bodies().map(({ data }) => data['video_url'])).toEqual([
      'https://videos.example.com/1',
      'https://videos.example.com/2',
      null,
    ]);
    expect(bodies()[0]).toMatchObject({
      type: 'video.completed',
      data: { job_id: videoId, file: { sha256: expect.any(String) as string } },
    });
  });

  test('a paid file that comes after a cancel is told, to the same address', async () => {
    const { core, archive, tell } = await openTelling({ options: { redisEvents: true } });
    const videoId = await core.bring({ webhook_url: receiver.url });
    await core.videos.cancel(videoId, testWorkspace);
    await core.ended();
    await core.advance(600_000);
    await core.look();
    await archive(videoId);
    const deliveries = await deliveriesOf(videoId);
    expect(deliveries.map(({ type, channel }) => [type, channel])).toEqual([
      ['video.canceled', 'redis'],
      ['video.canceled', 'webhook'],
      ['video.file_stored', 'webhook'],
    ]);
    for (const { id, channel } of deliveries) if (channel === 'webhook') await tell(id);
    expect(bodies()).toMatchObject([
      { type: 'video.canceled', data: { video_url: null } },
      { type: 'video.file_stored', data: { job_id: videoId, video_url: 'https://videos.example.com/1' } },
    ]);
  });
});

describe('a bug while sending', () => {
  test('gives the delivery back with a growing wait, and ends as a dead letter', async () => {
    let broken = true;
    const linkTo = () => (broken ? Promise.reject(new Error('no links today')) : Promise.resolve('https://x'));
    const { core, archive, succeed, deliver } = await openTelling({}, { linkTo });
    const videoId = await succeed({ webhook_url: receiver.url });
    await archive(videoId);
    const state = async () => (await deliveriesOf(videoId))[0]!;
    const { id } = await state();
    const crash = async (): Promise<void> => {
      const error = await tell(deliver, id).then(
        () => expect.unreachable('it should crash'),
        (thrown: unknown) => thrown as Error,
      );
      await recordCrash(core.context, { kind: 'notify', id }, error);
    };
    for (const waitMs of [2_000, 4_000, 8_000, 16_000]) {
      await crash();
      expect(await state()).toMatchObject({ state: 'pending', tries: 0, lease_until: null, published_at: null });
      expect(await tell(deliver, id)).toEqual({ result: 'done' });
      await core.advance(waitMs);
    }
    await crash();
    expect(await state()).toMatchObject({ state: 'failed', due_at: null });
    const letter = await database.kysely.selectFrom('dead_letters').selectAll().where('id', '=', id).executeTakeFirst();
    expect(letter).toMatchObject({ kind: 'notify', reason: expect.stringContaining('no links today') as string });
    expect(letter?.dead_at).not.toBeNull();
    broken = false;
    expect(await tell(deliver, id)).toEqual({ result: 'done' });
    expect(receiver.received).toHaveLength(0);
  });
});

const missing = missingRedis();

describe.skipIf(missing)(`with Redis${missing === null ? '' : ` (${missing})`}`, () => {
  async function openRedis() {
    const server = await startRedis();
    const notifier = await openRedisNotifier({ urls: [new Secret(server.url)], prefix: 'kling' });
    const subscriber = new Redis(server.url, { retryStrategy: () => null });
    subscriber.on('error', () => {});
    const heard: Record<string, unknown>[] = [];
    subscriber.on('message', (_, text: string) => heard.push(JSON.parse(text) as Record<string, unknown>));
    await subscriber.subscribe('kling:events');
    const stop = async (): Promise<void> => {
      subscriber.disconnect();
      await server.stop();
    };
    onTestFinished(async () => {
      await notifier.close();
      await stop();
    });
    return { notifier, heard, stop };
  }

  test('a final state is one message of the reference on kling:events, beside the webhooks', async () => {
    const { notifier, heard } = await openRedis();
    const { core, archive, succeed, tell } = await openTelling({ options: { redisEvents: true } }, { redis: notifier });
    const completed = await succeed({ webhook_url: receiver.url });
    await archive(completed);
    const canceled = await core.create();
    await core.videos.cancel(canceled, testWorkspace);
    for (const id of [completed, canceled]) {
      for (const delivery of await deliveriesOf(id)) expect(await tell(delivery.id)).toEqual({ result: 'done' });
    }
    await vi.waitUntil(() => heard.length === 2, { timeout: 60_000, interval: 10 });
    expect(heard).toMatchObject([
      { type: 'completed', job_id: completed, video_url: expect.stringContaining('https://videos.example') as string },
      { type: 'canceled', job_id: canceled, video_url: null },
    ]);
    expect(bodies().map(({ type }) => type)).toEqual(['video.completed']);
    const log = await database.kysely.selectFrom('delivery_tries').selectAll().execute();
    expect(log.map(({ status, error }) => [status, error])).toEqual([
      [null, null],
      [204, null],
      [null, null],
    ]);
  });

  test('while Redis is away the channel waits for its next try', async () => {
    const { notifier, stop } = await openRedis();
    await stop();
    const { core, tell } = await openTelling({ options: { redisEvents: true } }, { redis: notifier });
    const videoId = await core.create();
    await core.videos.cancel(videoId, testWorkspace);
    const { id } = (await deliveriesOf(videoId))[0]!;
    expect(await tell(id)).toMatchObject({ result: 'retry', afterMs: 1_000 });
    expect((await deliveriesOf(videoId))[0]).toMatchObject({ state: 'pending', last_status: null });
  });
});

test('a channel that cannot be reached is tried for some minutes, then given up without a dead letter', async () => {
  const { core, tell } = await openTelling({ options: { redisEvents: true } });
  const videoId = await core.create();
  await core.videos.cancel(videoId, testWorkspace);
  const { id } = (await deliveriesOf(videoId))[0]!;
  for (const waitMs of [1_000, 5_000, 30_000, 300_000]) {
    expect(await tell(id)).toMatchObject({ result: 'retry', afterMs: waitMs });
    await core.advance(waitMs);
  }
  expect(await tell(id)).toEqual({ result: 'done' });
  expect((await deliveriesOf(videoId))[0]).toMatchObject({ state: 'failed', tries: 5 });
});
