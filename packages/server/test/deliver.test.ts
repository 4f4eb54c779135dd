import { sql } from 'kysely';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Database } from '../src/db/database.ts';
import { inTransaction } from '../src/db/transaction.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { Secret } from '../src/kernel/secret.ts';
import { createKlingApi } from '../src/kling/open.ts';
import { createWebhookNotifier, type WebhookNotifier } from '../src/notifications/webhook.ts';
import { startWebhookReceiver } from '../src/notifications/webhook-receiver.testing.ts';
import type { Handler } from '../src/queue/queue.ts';
import { expireQueued } from '../src/videos/end-video.ts';
import { moveVideo } from '../src/videos/move.ts';
import { createDeliver, type DeliverDeps } from '../src/worker/deliver.ts';
import { nextDueInMs, publishNewDeliveries } from '../src/worker/sweep.ts';
import { startWorker } from '../src/worker/worker.ts';
import { openCore, testWorkspace } from './support/core.ts';
import { advanceClock, openTestDatabase } from './support/database.ts';

const secretText = `whsec_${Buffer.from('a secret of thirty-two bytes, ok').toString('base64')}`;
const never = new AbortController().signal;
let database: Database;
let core: Awaited<ReturnType<typeof openCore>>;
let receiver: Awaited<ReturnType<typeof startWebhookReceiver>>;
let notifier: WebhookNotifier;
let deliver: Handler;
let deps: DeliverDeps;
beforeAll(async () => {
  database = await openTestDatabase();
  core = await openCore(database);
  receiver = await startWebhookReceiver();
  notifier = createWebhookNotifier({ secret: new Secret(secretText), allowLoopback: true }, { clock: systemClock });
  deps = { webhook: notifier, redis: null, linkTo: ({ id }) => Promise.resolve(`https://videos.example.com/${id}`) };
  deliver = createDeliver(core.context, deps);
});
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer = (response) => void response.writeHead(204).end();
});
afterAll(async () => {
  await notifier.close();
  await receiver.close();
  await core.close();
  await database.close();
});

async function deliveryOf(videoId: string) {
  return database.kysely
    .selectFrom('deliveries')
    .selectAll()
    .select(sql<number>`(extract(epoch from due_at - dailies_now()) * 1000)::float8`.as('due_in_ms'))
    .where('video_id', '=', videoId)
    .executeTakeFirstOrThrow();
}

/** A video that was canceled while it waited, and the id of the delivery that this ordered. */
async function cancelOne(): Promise<{ videoId: string; id: string }> {
  const videoId = await core.create({ webhook_url: receiver.url });
  await core.videos.cancel(videoId, testWorkspace);
  return { videoId, id: (await deliveryOf(videoId)).id };
}

const notify = (id: string, signal = never) => deliver({ kind: 'notify', id }, signal);
const lastPayload = () => JSON.parse(receiver.received.at(-1)!.body) as Record<string, unknown>;

test('the end of a video is told once, signed, with the facts of its event', async () => {
  const { videoId, id } = await cancelOne();
  expect(await notify(id)).toEqual({ result: 'done' });
  expect(await notify(id)).toEqual({ result: 'done' });
  expect(receiver.received).toHaveLength(1);
  const { body, headers } = receiver.received[0]!;
  expect(headers['webhook-id']).toBe(id);
  const events = await core.videos.listEvents(videoId, testWorkspace, 0);
  const event = events.find(({ type }) => type === 'video.canceled')!;
  expect(new Webhook(secretText).verify(body, headers as Record<string, string>)).toEqual({
    type: 'video.canceled',
    timestamp: event.at.toISOString(),
    data: { job_id: videoId, status: 'canceled', video_url: null },
  });
  const row = await deliveryOf(videoId);
  expect(row).toMatchObject({ state: 'delivered', tries: 1, last_status: 204, due_at: null, lease_until: null });
  expect(row.delivered_at).not.toBeNull();
});

test('a failure carries its error, a completion its file', async () => {
  const failing = await core.create({
    webhook_url: receiver.url,
    start_before: new Date(Date.now() + 3_600_000).toISOString(),
  });
  await advanceClock(database, 3_601_000);
  await expireQueued(core.context);
  await notify((await deliveryOf(failing)).id);
  expect(lastPayload()).toMatchObject({
    type: 'video.failed',
    data: { job_id: failing, status: 'failed', error: { code: 'start_before_passed' } },
  });

  const completing = await core.create({ webhook_url: receiver.url });
  await database.kysely.updateTable('videos').set({ state: 'archiving' }).where('id', '=', completing).execute();
  const file = { bytes: 1_000, seconds: 5, sha256: 'ab' };
  await inTransaction(database, ({ trx }) =>
    moveVideo(core.context, trx, { videoId: completing, to: 'completed', attemptNumber: 0, data: { file } }),
  );
  await notify((await deliveryOf(completing)).id);
  expect(lastPayload()).toMatchObject({
    type: 'video.completed',
    data: { job_id: completing, status: 'completed', file },
  });
});

test('retries wait in database time, keep their id, and end as a dead letter', async () => {
  receiver.answer = (response) => void response.writeHead(503).end();
  const { videoId, id } = await cancelOne();
  const waits = [5, 300, 1_800, 7_200, 18_000, 36_000].map((seconds) => seconds * 1_000);
  for (const [index, waitMs] of waits.entries()) {
    expect(await notify(id)).toMatchObject({ result: 'retry', afterMs: waitMs });
    const row = await deliveryOf(videoId);
    expect(row).toMatchObject({
      state: 'pending',
      tries: index + 1,
      last_status: 503,
      lease_until: null,
      published_at: null,
    });
    expect(row.due_in_ms).toBeGreaterThan(waitMs - 3_000);
    expect(await notify(id)).toEqual({ result: 'done' });
    await advanceClock(database, waitMs);
  }
  expect(await notify(id)).toMatchObject({ result: 'fail', reason: expect.stringContaining('503') as string });
  expect(await deliveryOf(videoId)).toMatchObject({ state: 'failed', tries: 7, due_at: null, last_status: 503 });
  expect(await notify(id)).toEqual({ result: 'done' });
  expect(receiver.received).toHaveLength(7);
  expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([id]));
  expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
});

test('410 stops at once', async () => {
  receiver.answer = (response) => void response.writeHead(410).end();
  const { videoId, id } = await cancelOne();
  expect(await notify(id)).toMatchObject({ result: 'fail' });
  expect(await deliveryOf(videoId)).toMatchObject({ state: 'failed', tries: 1, last_status: 410, due_at: null });
});

test('workers that get the same delivery at once send it once', async () => {
  const { id } = await cancelOne();
  const other = createDeliver(core.context, deps);
  const workers = [deliver, other, deliver, other];
  const results = await Promise.all(workers.map((worker) => worker({ kind: 'notify', id }, never)));
  expect(results).toEqual(workers.map(() => ({ result: 'done' })));
  expect(receiver.received).toHaveLength(1);
});

test('a worker that was overtaken does not undo what the next one did', async () => {
  const { videoId, id } = await cancelOne();
  let release = (): void => {};
  const slow = new Promise<void>((resolve) => (release = resolve));
  const arrived = new Promise<void>((resolve) => {
    receiver.answer = (response) => {
      resolve();
      void slow.then(() => response.writeHead(500).end());
    };
  });
  const first = notify(id);
  await arrived;
  await advanceClock(database, 30_001);
  receiver.answer = (response) => void response.writeHead(503).end();
  expect(await notify(id)).toMatchObject({ result: 'retry', afterMs: 300_000 });
  release();
  await first;
  const row = await deliveryOf(videoId);
  expect(row).toMatchObject({ state: 'pending', tries: 2, last_status: 503 });
  expect(row.due_in_ms).toBeGreaterThan(250_000);
});

test('a shutdown gives a delivery back without costing a try', async () => {
  const { videoId, id } = await cancelOne();
  const stopping = new AbortController();
  receiver.answer = () => stopping.abort(new Error('stopping'));
  expect(await notify(id, stopping.signal)).toMatchObject({ result: 'retry', afterMs: 0 });
  expect(await deliveryOf(videoId)).toMatchObject({
    state: 'pending',
    tries: 0,
    lease_until: null,
    published_at: null,
  });
  receiver.answer = (response) => void response.writeHead(204).end();
  expect(await notify(id)).toEqual({ result: 'done' });
});

test('a delivery is published when it is due, once per try', async () => {
  await publishNewDeliveries(database.kysely, core.context.queue);
  const { id } = await cancelOne();
  expect(await publishNewDeliveries(database.kysely, core.context.queue)).toBe(1);
  expect(await publishNewDeliveries(database.kysely, core.context.queue)).toBe(0);
  receiver.answer = (response) => void response.writeHead(500).end();
  await notify(id);
  expect(await publishNewDeliveries(database.kysely, core.context.queue)).toBe(0);
  expect(await nextDueInMs(database.kysely)).toBeGreaterThan(0);
  await advanceClock(database, 5_000);
  expect(await publishNewDeliveries(database.kysely, core.context.queue)).toBe(1);
});

test('neither the secret nor the address of a user is logged or stored with a failure', async () => {
  const lines: string[] = [];
  const log = (...parts: unknown[]) => void lines.push(JSON.stringify(parts));
  const logging = createDeliver({ ...core.context, log }, deps);
  receiver.answer = (response) => void response.writeHead(500).end();
  const { videoId, id } = await cancelOne();
  await logging({ kind: 'notify', id }, never);
  expect(lines).toHaveLength(1);
  const { last_error: lastError } = await deliveryOf(videoId);
  expect([...lines, lastError].join('\n')).not.toMatch(/whsec_|of-the-user/);
});

test('a running worker tells the end of a video without waiting for a sweep, and what it gave up is a dead letter', async () => {
  const nothing = () => Promise.reject(new Error('nothing of the kind is waiting here'));
  const kling = createKlingApi({ accounts: [], clock: systemClock, log: () => {}, onSkew: () => {} });
  const worker = await startWorker(
    core.context,
    {
      kling,
      queue: core.context.queue,
      accountIds: [],
      monotonicMs: systemClock.monotonicMs,
      copy: nothing,
      isGone: () => false,
      orderPoster: () => {},
      notify: deliver,
    },
    {
      concurrency: { submit: 1, look: 1, archive: 1, notify: 4 },
      sweepIntervalMs: 60_000,
      dispatchIntervalMs: 60_000,
      republishAfterMs: 30_000,
      pollIntervalMs: 1_000,
    },
  );
  try {
    const { videoId } = await cancelOne();
    const endedMs = performance.now();
    await vi.waitUntil(async () => (await deliveryOf(videoId)).state === 'delivered', { timeout: 20_000, interval: 5 });
    // Half a second here; the machine may be busy.
    expect(performance.now() - endedMs).toBeLessThan(5_000);

    receiver.answer = (response) => void response.writeHead(410).end();
    const { id } = await cancelOne();
    const letter = () => database.kysely.selectFrom('dead_letters').selectAll().where('id', '=', id).executeTakeFirst();
    await vi.waitUntil(async () => (await letter()) !== undefined, { timeout: 20_000, interval: 5 });
    expect(await letter()).toMatchObject({ kind: 'notify', reason: expect.stringContaining('410') as string });
  } finally {
    await worker.stop(5_000);
    await kling.close();
  }
});
