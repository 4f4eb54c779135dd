import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../src/kernel/clock.ts';
import { Secret } from '../src/kernel/secret.ts';
import { startWebhookReceiver, type ReceivedWebhook } from '../src/notifications/webhook-receiver.testing.ts';
import { createWebhookNotifier, type WebhookNotifier } from '../src/notifications/webhook.ts';
import type { Handler } from '../src/queue/queue.ts';
import { createDeliver } from '../src/worker/deliver.ts';
import { openApi, type TestApi } from './support/api.ts';
import { advanceClock } from './support/database.ts';

const installationSecret = `whsec_${Buffer.from('a secret of thirty-two bytes, ok').toString('base64')}`;
const never = new AbortController().signal;
const hour = 3_600_000;
const day = 24 * hour;
const allTypes = ['video.completed', 'video.failed', 'video.canceled', 'video.file_stored'];

let api: TestApi;
let receiver: Awaited<ReturnType<typeof startWebhookReceiver>>;
let notifier: WebhookNotifier;
let deliver: Handler;
beforeAll(async () => {
  api = await openApi();
  receiver = await startWebhookReceiver();
  const secret = new Secret(installationSecret);
  notifier = createWebhookNotifier({ secret, allowLoopback: true }, { clock: systemClock });
  const linkTo = () => Promise.resolve(null);
  deliver = createDeliver(api.core.context, { webhook: notifier, redis: null, linkTo });
});
beforeEach(async () => {
  receiver.received.length = 0;
  receiver.answer = (response) => void response.writeHead(204).end();
  await api.database.kysely.updateTable('webhook_endpoints').set({ deleted_at: new Date() }).execute();
});
afterAll(async () => {
  await notifier.close();
  await receiver.close();
  await api.close();
});

type Json = Record<string, unknown> & { id: string; secret: string; tries: Record<string, unknown>[] };

async function call(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  url: string,
  body?: unknown,
  headers = api.authorization,
) {
  const answer = await api.app.inject({
    method,
    url,
    headers,
    ...(body === undefined ? {} : { payload: body as object }),
  });
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: (answer.body === '' ? null : answer.json()) as Json,
  };
}

async function addEndpoint(body: Record<string, unknown> = {}): Promise<Json> {
  const { status, body: made } = await call('POST', '/api/webhooks', { url: receiver.url, ...body });
  expect(status).toBe(201);
  return made;
}

async function cancelOne(body: Record<string, unknown> = {}): Promise<string> {
  const id = await api.core.create(body);
  await api.core.videos.cancel(id, 'ws_default');
  return id;
}

async function pending(): Promise<string[]> {
  const rows = await api.database.kysely.selectFrom('deliveries').select('id').where('state', '=', 'pending').execute();
  return rows.map(({ id }) => id);
}

const notify = (id: string) => deliver({ kind: 'notify', id }, never);
async function notifyAll() {
  for (const id of await pending()) await notify(id);
}
const deliveriesOf = async (query: string) =>
  (await call('GET', `/api/webhook-deliveries?${query}`)).body as unknown as {
    data: Json[];
    next_cursor: string | null;
  };
const oneDelivery = async (id: string) => (await call('GET', `/api/webhook-deliveries/${id}`)).body;

/** What a message says; throws unless both libraries of receivers find it signed with this secret. */
function verified(secret: string, { body, headers }: ReceivedWebhook): unknown {
  const texts = headers as Record<string, string>;
  new SvixWebhook(secret).verify(body, texts);
  return new Webhook(secret).verify(body, texts);
}

describe('endpoints', () => {
  test('the secret is shown when an endpoint is made and never again', async () => {
    const made = await addEndpoint({ description: 'of a test' });
    const { secret, ...rest } = made;
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(rest).toMatchObject({
      id: expect.stringMatching(/^whk_[0-9a-z]{26}$/) as string,
      url: receiver.url,
      description: 'of a test',
      event_types: allTypes,
      disabled_at: null,
    });
    expect((await call('GET', `/api/webhooks/${made.id}`)).body).toEqual(rest);
    expect((await call('GET', '/api/webhooks')).body).toEqual({ data: [rest] });
    expect(api.lines.join('')).not.toContain(secret);
  });

  test('every mistake of a body is named with its place', async () => {
    const { status, body } = await call('POST', '/api/webhooks', {
      url: 'http://example.com/hook',
      descripton: 'x',
      event_types: ['video.done'],
    });
    expect(status).toBe(400);
    const errors = body['errors'] as { pointer: string; detail: string }[];
    expect(errors.map(({ pointer }) => pointer).toSorted()).toEqual(['/descripton', '/event_types/0', '/url']);
    expect(errors.find(({ pointer }) => pointer === '/descripton')?.detail).toContain('Did you mean "description"?');
    expect(errors.find(({ pointer }) => pointer === '/url')?.detail).toContain('https://');
  });

  test.each([
    ['https://10.0.0.7/hook', 'public address'],
    ['https://[::1%25eth0]/hook', 'URL'],
    ['https://user:password@example.com/hook', 'user name'],
    ['https://169.254.169.254/latest/meta-data', 'public address'],
  ])('an address that must not be called is refused: %s', async (url, words) => {
    const { status, body } = await call('POST', '/api/webhooks', { url });
    expect(status).toBe(400);
    expect(body).toMatchObject({ errors: [{ pointer: '/url', detail: expect.stringContaining(words) as string }] });
  });

  test('more endpoints than a workspace may have are refused, also when they come at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 25 }, () => call('POST', '/api/webhooks', { url: receiver.url })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(20);
    const refused = answers.filter(({ status }) => status === 409);
    expect(refused).toHaveLength(5);
    expect(refused[0]?.body).toMatchObject({ code: 'too_many_webhooks', limit: 20 });
  });

  test('an endpoint of another workspace is the same as one that does not exist', async () => {
    const { id } = await addEndpoint();
    const videoId = await cancelOne();
    const [delivery = ''] = await pending();
    await notifyAll();
    const unknown = `whk_${'0'.repeat(26)}`;
    const other = api.otherAuthorization;
    const tries = [
      ['GET', `/api/webhooks/ID`],
      ['PATCH', `/api/webhooks/ID`, { description: 'mine now' }],
      ['DELETE', `/api/webhooks/ID`],
      ['POST', `/api/webhooks/ID/rotate-secret`],
      ['POST', `/api/webhooks/ID/test`],
      ['GET', `/api/webhooks/ID/deliveries`],
    ] as const;
    for (const [method, path, body] of tries) {
      const seen = await call(method, path.replace('ID', id), body, other);
      const missing = await call(method, path.replace('ID', unknown), body, other);
      expect(seen.status, `${method} ${path}`).toBe(404);
      const withoutIds = (text: Json) => JSON.stringify({ ...text, instance: '' }).replaceAll(id, unknown);
      expect(withoutIds(seen.body)).toBe(withoutIds(missing.body));
    }
    expect((await call('GET', '/api/webhooks', undefined, other)).body).toEqual({ data: [] });
    expect((await call('GET', '/api/webhook-deliveries', undefined, other)).body).toMatchObject({ data: [] });
    expect((await call('GET', `/api/webhook-deliveries/${delivery}`, undefined, other)).status).toBe(404);
    expect((await call('POST', `/api/webhook-deliveries/${delivery}/redeliver`, undefined, other)).status).toBe(404);
    expect((await call('GET', `/api/webhook-deliveries?video=${videoId}`, undefined, other)).status).toBe(404);
    expect((await call('GET', `/api/webhooks/${id}`)).status).toBe(200);
  });

  test('a removed endpoint is told nothing more, and its log stays', async () => {
    const { id } = await addEndpoint();
    await cancelOne();
    expect((await call('DELETE', `/api/webhooks/${id}`)).status).toBe(204);
    const [delivery = ''] = await pending();
    await notifyAll();
    await cancelOne();
    expect(await pending()).toEqual([]);
    expect(receiver.received).toEqual([]);
    expect(await oneDelivery(delivery)).toMatchObject({ webhook_id: id, status: 'failed' });
    expect((await call('DELETE', `/api/webhooks/${id}`)).status).toBe(404);
  });
});

describe('deliveries', () => {
  test('the endpoints that want an event and the address of the video are each told once, with their own secret', async () => {
    const one = await addEndpoint();
    const two = await addEndpoint({ event_types: ['video.canceled'] });
    await addEndpoint({ event_types: ['video.completed'] });
    const disabled = await addEndpoint();
    await call('PATCH', `/api/webhooks/${disabled.id}`, { disabled: true });
    expect((await call('POST', '/api/webhooks', { url: receiver.url }, api.otherAuthorization)).status).toBe(201);
    const videoId = await cancelOne({ webhook_url: receiver.url });
    expect((await deliveriesOf(`video=${videoId}`)).data).toHaveLength(3);
    await notifyAll();
    await notifyAll();
    expect(receiver.received).toHaveLength(3);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
    const { data } = await deliveriesOf(`video=${videoId}`);
    const secrets = new Map([
      [null, installationSecret],
      [one.id, one.secret],
      [two.id, two.secret],
    ]);
    expect(new Set(data.map((delivery) => delivery['webhook_id']))).toEqual(new Set(secrets.keys()));
    for (const delivery of data) {
      const message = receiver.received.find(({ headers }) => headers['webhook-id'] === delivery.id)!;
      const secret = secrets.get(delivery['webhook_id'] as string | null)!;
      expect(verified(secret, message)).toMatchObject({ type: 'video.canceled', data: { job_id: videoId } });
      for (const other of secrets.values()) {
        if (other !== secret) expect(() => verified(other, message)).toThrow();
      }
    }
  });

  test('a video that is ended by several at once is told once per target', async () => {
    await addEndpoint();
    const id = await api.core.create({ webhook_url: receiver.url });
    await Promise.allSettled(Array.from({ length: 8 }, () => api.core.videos.cancel(id, 'ws_default')));
    expect((await deliveriesOf(`video=${id}`)).data).toHaveLength(2);
    await notifyAll();
    expect(receiver.received).toHaveLength(2);
  });

  test('the log has every try with its time, its status and its cause', async () => {
    const { id } = await addEndpoint();
    receiver.answer = (response) => void response.writeHead(503).end();
    await cancelOne();
    const [delivery = ''] = await pending();
    await notify(delivery);
    await advanceClock(api.database, 5_000);
    receiver.answer = (response) => void response.destroy();
    await notify(delivery);
    expect(await oneDelivery(delivery)).toMatchObject({ status: 'pending', next_try_at: expect.any(String) as string });
    expect((await call('GET', `/api/webhooks/${id}`)).body['failing_since']).not.toBeNull();
    await advanceClock(api.database, 5 * 60_000);
    receiver.answer = (response) => void response.writeHead(200).end('thanks');
    await notify(delivery);
    const page = await call('GET', `/api/webhooks/${id}/deliveries`);
    expect(page.body).toMatchObject({
      data: [
        {
          id: delivery,
          type: 'video.canceled',
          channel: 'webhook',
          url: receiver.url,
          status: 'delivered',
          next_try_at: null,
          tries: [
            { status: 503, error: expect.stringContaining('503') as string },
            { status: null, error: expect.stringContaining('could not be reached') as string },
            { status: 200, error: null },
          ],
        },
      ],
      next_cursor: null,
    });
    const tries = (await oneDelivery(delivery)).tries.map((tried) => Date.parse(tried['started_at'] as string));
    expect(tries[1]! - tries[0]!).toBeGreaterThan(4_000);
    expect(tries[2]! - tries[1]!).toBeGreaterThan(290_000);
    expect((await call('GET', `/api/webhooks/${id}`)).body['failing_since']).toBeNull();
  });

  test('the log has pages, newest first, which new deliveries do not shift', async () => {
    const { id } = await addEndpoint();
    const videos: string[] = [];
    for (let index = 0; index < 5; index++) videos.push(await cancelOne());
    const seen: unknown[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { body } = await call('GET', `/api/webhooks/${id}/deliveries?limit=2${query}`);
      const page = body as unknown as { data: Json[]; next_cursor: string | null };
      seen.push(...page.data.map((delivery) => delivery['video_id']));
      cursor = page.next_cursor;
      if (seen.length === 2) await cancelOne();
    }
    expect(seen).toEqual(videos.toReversed());
    await notifyAll();
    expect((await call('GET', `/api/webhooks/${id}/deliveries?status=pending`)).body).toMatchObject({ data: [] });
    expect((await call('GET', `/api/webhook-deliveries?cursor=bm90aGluZw`)).body).toMatchObject({
      errors: [{ pointer: '?cursor' }],
    });
    expect((await call('GET', `/api/webhook-deliveries?vidoe=x`)).body).toMatchObject({
      errors: [{ pointer: '?vidoe', detail: expect.stringContaining('"video"') as string }],
    });
  });

  test('a delivery that is sent again has its old webhook-id, and all its tries', async () => {
    const endpoint = await addEndpoint();
    receiver.answer = (response) => void response.writeHead(500).end();
    const videoId = await cancelOne();
    const [id = ''] = await pending();
    const path = `/api/webhook-deliveries/${id}/redeliver`;
    const early = await call('POST', path);
    expect(early.status).toBe(409);
    expect(early.body).toMatchObject({
      code: 'delivery_conflict',
      detail: expect.stringContaining('pending') as string,
    });
    for (let index = 0; index < 7; index++) {
      await notify(id);
      await advanceClock(api.database, 10 * hour);
    }
    expect(await oneDelivery(id)).toMatchObject({ status: 'failed', video_id: videoId });
    await call('PATCH', `/api/webhooks/${endpoint.id}`, { disabled: true });
    expect((await call('POST', path)).body).toMatchObject({ code: 'delivery_conflict' });
    await call('PATCH', `/api/webhooks/${endpoint.id}`, { disabled: false });

    const again = await call('POST', path);
    expect(again.status).toBe(202);
    expect(again.body).toMatchObject({ id, status: 'pending' });
    expect(await notify(id)).toMatchObject({ result: 'retry', afterMs: 5_000 });
    await advanceClock(api.database, 5_000);
    receiver.answer = (response) => void response.writeHead(204).end();
    expect(await notify(id)).toEqual({ result: 'done' });
    expect(await oneDelivery(id)).toMatchObject({ status: 'delivered' });
    expect((await oneDelivery(id)).tries).toHaveLength(9);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([id]));
    expect(verified(endpoint.secret, receiver.received.at(-1)!)).toMatchObject({ data: { job_id: videoId } });
  });
});

describe('a test event', () => {
  test('goes the way of every other and is signed with the secret of its endpoint', async () => {
    const { id, secret } = await addEndpoint({ event_types: ['video.failed'] });
    const { status, body } = await call('POST', `/api/webhooks/${id}/test`);
    expect(status).toBe(202);
    expect(body).toMatchObject({ type: 'webhook.test', status: 'pending', video_id: null, webhook_id: id, tries: [] });
    expect(await notify(body.id)).toEqual({ result: 'done' });
    expect(verified(secret, receiver.received[0]!)).toMatchObject({ type: 'webhook.test', data: { webhook_id: id } });
    expect(await oneDelivery(body.id)).toMatchObject({ status: 'delivered', tries: [{ status: 204 }] });
  });

  test('has one try, and is no dead letter', async () => {
    const { id } = await addEndpoint();
    receiver.answer = (response) => void response.writeHead(500).end();
    const { body } = await call('POST', `/api/webhooks/${id}/test`);
    expect(await notify(body.id)).toEqual({ result: 'done' });
    expect(await oneDelivery(body.id)).toMatchObject({ status: 'failed', tries: [{ status: 500 }] });
  });

  test('is refused while the endpoint is disabled', async () => {
    const { id } = await addEndpoint();
    await call('PATCH', `/api/webhooks/${id}`, { disabled: true });
    const { status, body } = await call('POST', `/api/webhooks/${id}/test`);
    expect(status).toBe(409);
    expect(body).toMatchObject({ code: 'delivery_conflict', detail: expect.stringContaining('enable') as string });
  });
});

test('for a day after a rotation both secrets verify, afterwards only the new one', async () => {
  const { id, secret: old } = await addEndpoint();
  const { body: rotated } = await call('POST', `/api/webhooks/${id}/rotate-secret`);
  expect(rotated.secret).toMatch(/^whsec_/);
  expect(rotated.secret).not.toBe(old);
  await cancelOne();
  await notifyAll();
  verified(old, receiver.received[0]!);
  verified(rotated.secret, receiver.received[0]!);
  await advanceClock(api.database, day);
  await cancelOne();
  await notifyAll();
  verified(rotated.secret, receiver.received[1]!);
  expect(() => verified(old, receiver.received[1]!)).toThrow();
});

test('410 disables the endpoint, and enabling it starts anew', async () => {
  const { id } = await addEndpoint();
  receiver.answer = (response) => void response.writeHead(410).end();
  await cancelOne();
  await cancelOne();
  const [first = '', second = ''] = await pending();
  expect(await notify(first)).toMatchObject({ result: 'fail' });
  expect((await call('GET', `/api/webhooks/${id}`)).body).toMatchObject({
    disabled_at: expect.any(String) as string,
    disabled_reason: expect.stringContaining('410') as string,
  });
  await notify(second);
  expect(receiver.received).toHaveLength(1);
  expect(await oneDelivery(second)).toMatchObject({ status: 'failed' });
  await cancelOne();
  expect(await pending()).toEqual([]);
  receiver.answer = (response) => void response.writeHead(204).end();
  const { body } = await call('PATCH', `/api/webhooks/${id}`, { disabled: false });
  expect(body).toMatchObject({ disabled_at: null, disabled_reason: null, failing_since: null });
  await cancelOne();
  await notifyAll();
  expect(receiver.received).toHaveLength(2);
});

test('an endpoint that fails for five days is disabled, one that works in between is not', async () => {
  const { id } = await addEndpoint();
  const isDisabled = async () => (await call('GET', `/api/webhooks/${id}`)).body['disabled_at'] !== null;
  const giveUpOne = async () => {
    await cancelOne();
    const [delivery = ''] = await pending();
    for (let index = 0; index < 7; index++) {
      await notify(delivery);
      await advanceClock(api.database, 10 * hour);
    }
  };
  receiver.answer = (response) => void response.writeHead(500).end();
  await giveUpOne();
  receiver.answer = (response) => void response.writeHead(204).end();
  await cancelOne();
  await notifyAll();
  receiver.answer = (response) => void response.writeHead(500).end();
  await advanceClock(api.database, 5 * day);
  await giveUpOne();
  expect(await isDisabled()).toBe(false);
  await advanceClock(api.database, 3 * day);
  await giveUpOne();
  expect(await isDisabled()).toBe(true);
  expect((await call('GET', `/api/webhooks/${id}`)).body['disabled_reason']).toContain('5 days');
});
