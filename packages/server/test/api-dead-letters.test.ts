import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../src/kernel/clock.ts';
import { Secret } from '../src/kernel/secret.ts';
import { startWebhookReceiver } from '../src/notifications/webhook-receiver.testing.ts';
import { createWebhookNotifier, type WebhookNotifier } from '../src/notifications/webhook.ts';
import type { Handler } from '../src/queue/queue.ts';
import { recordCrash, recordDeadLetter, recordGivenUp } from '../src/videos/dead-letters.ts';
import { dispatchFamily } from '../src/videos/dispatch.ts';
import { readFigures } from '../src/videos/figures.ts';
import { createDeliver } from '../src/worker/deliver.ts';
import { openApi, type TestApi } from './support/api.ts';

const secret = `whsec_${Buffer.from('a secret of thirty-two bytes, ok').toString('base64')}`;
const never = new AbortController().signal;
let api: TestApi;
let receiver: Awaited<ReturnType<typeof startWebhookReceiver>>;
let notifier: WebhookNotifier;
let deliver: Handler;
beforeAll(async () => {
  api = await openApi({ slots: 100 });
  receiver = await startWebhookReceiver();
  notifier = createWebhookNotifier({ secret: new Secret(secret), allowLoopback: true }, { clock: systemClock });
  deliver = createDeliver(api.core.context, { webhook: notifier, redis: null, linkTo: () => Promise.resolve(null) });
});
beforeEach(async () => {
  receiver.received.length = 0;
  receiver.answer = (response) => void response.writeHead(204).end();
  await api.database.kysely.deleteFrom('dead_letters').execute();
});
afterAll(async () => {
  await notifier.close();
  await receiver.close();
  await api.close();
});

type Json = Record<string, unknown> & { data: Record<string, unknown>[]; next_cursor: string | null };

async function call(
  method: 'GET' | 'POST' | 'DELETE',
  url: string,
  body?: unknown,
  headers: object = api.authorization,
) {
  const answer = await api.app.inject({
    method,
    url,
    headers: { ...headers },
    ...(body === undefined ? {} : { payload: body as object }),
  });
  return { status: answer.statusCode, body: (answer.body === '' ? null : answer.json()) as Json };
}

const list = async (query = '') => (await call('GET', `/api/dead-letters${query}`)).body;

/** An attempt that was never sent, given up by the engine. */
async function submitLetter(): Promise<{ videoId: string; id: string }> {
  const videoId = await api.core.create();
  for (const family of new Set(api.core.asked)) await dispatchFamily(api.core.context, family);
  const find = api.database.kysely.selectFrom('attempts').select('id').where('video_id', '=', videoId);
  const { id } = await find.executeTakeFirstOrThrow();
  await recordGivenUp(api.core.context, { kind: 'submit', id }, 'sqs');
  return { videoId, id };
}

/** A delivery to which the receiver answered 410. */
async function deliveryLetter(body: Record<string, unknown>): Promise<{ videoId: string; id: string }> {
  receiver.answer = (response) => void response.writeHead(410).end();
  const videoId = await api.core.create(body);
  await api.core.videos.cancel(videoId, 'ws_default');
  const find = api.database.kysely.selectFrom('deliveries').select('id').where('video_id', '=', videoId);
  const { id } = await find.executeTakeFirstOrThrow();
  const result = await deliver({ kind: 'notify', id }, never);
  if (result.result !== 'fail') throw new Error(`the delivery ended as ${result.result}`);
  await recordDeadLetter(api.core.context, { kind: 'notify', id }, result.reason);
  receiver.answer = (response) => void response.writeHead(204).end();
  return { videoId, id };
}

test('a webhook that was given up is listed with its reason, replayed under its old id, and counted no more', async () => {
  const { videoId, id } = await deliveryLetter({ webhook_url: receiver.url });
  expect(await list()).toEqual({
    data: [
      {
        kind: 'notify',
        id,
        video_id: videoId,
        reason: expect.stringContaining('410') as string,
        crashes: 0,
        dead_at: expect.any(String) as string,
        video_status: 'canceled',
        replayable: true,
        replay_hint: expect.stringContaining('webhook-id') as string,
      },
    ],
    next_cursor: null,
  });
  expect((await readFigures(api.database, 'sandbox')).deadLetters).toEqual({ notify: 1 });
  const replayed = await call('POST', `/api/dead-letters/notify/${id}/replay`);
  expect(replayed).toMatchObject({ status: 202, body: { kind: 'notify', id, video_id: videoId } });
  expect(await deliver({ kind: 'notify', id }, never)).toEqual({ result: 'done' });
  expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toEqual([id, id]);
  expect((await readFigures(api.database, 'sandbox')).deadLetters).toEqual({});
  expect(await call('POST', `/api/dead-letters/notify/${id}/replay`)).toMatchObject({
    status: 404,
    body: { code: 'not_found' },
  });
  expect(api.lines.join('')).not.toContain('of-the-user');
});

test('a letter whose webhook is disabled or removed says so, and is not replayed', async () => {
  const made = await call('POST', '/api/webhooks', { url: receiver.url });
  const webhook = (made.body as unknown as { id: string }).id;
  const { id } = await deliveryLetter({});
  const { kysely } = api.database;
  await kysely.updateTable('webhook_endpoints').set({ disabled_at: new Date() }).where('id', '=', webhook).execute();
  const refused = await call('POST', `/api/dead-letters/notify/${id}/replay`);
  expect(refused).toMatchObject({ status: 409, body: { code: 'dead_letter_conflict', retryable: false } });
  expect(refused.body['detail']).toContain(`PATCH /api/webhooks/${webhook}`);
  await call('DELETE', `/api/webhooks/${webhook}`);
  expect((await list()).data).toMatchObject([
    { replayable: false, replay_hint: expect.stringContaining('removed') as string },
  ]);
  expect((await call('POST', `/api/dead-letters/notify/${id}/replay`)).status).toBe(409);
  const row = await kysely.selectFrom('deliveries').select('state').where('id', '=', id).executeTakeFirst();
  expect(row?.state).toBe('failed');
});

test('pages go from the newest to the oldest, also while their letters are dismissed', async () => {
  const ids: string[] = [];
  for (let index = 0; index < 5; index++) ids.unshift((await submitLetter()).id);
  // Two of one moment.
  const { kysely } = api.database;
  const { dead_at: at } = await kysely
    .selectFrom('dead_letters')
    .select('dead_at')
    .where('id', '=', ids[1]!)
    .executeTakeFirstOrThrow();
  await kysely.updateTable('dead_letters').set({ dead_at: at }).where('id', 'in', [ids[1]!, ids[2]!]).execute();
  const expected = (await list()).data.map(({ id }) => String(id));
  expect(expected.toSorted()).toEqual(ids.toSorted());
  const seen: unknown[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const page = await list(`?limit=2${cursor && `&cursor=${cursor}`}`);
    seen.push(...page.data.map(({ id }) => id));
    for (const { id } of page.data)
      expect((await call('DELETE', `/api/dead-letters/submit/${String(id)}`)).status).toBe(204);
    cursor = page.next_cursor;
  }
  expect(seen).toEqual(expected);
  expect(await list()).toEqual({ data: [], next_cursor: null });
});

test('what only counts crashes is no dead letter: it is not listed, replayed or dismissed', async () => {
  const { id } = await submitLetter();
  await api.database.kysely.deleteFrom('dead_letters').execute();
  await recordCrash(api.core.context, { kind: 'submit', id }, new Error('a bug'));
  expect((await list()).data).toEqual([]);
  expect((await call('POST', `/api/dead-letters/submit/${id}/replay`)).status).toBe(404);
  expect((await call('DELETE', `/api/dead-letters/submit/${id}`)).status).toBe(404);
  expect(await api.database.kysely.selectFrom('dead_letters').selectAll().execute()).toMatchObject([{ crashes: 1 }]);
});

test('a dead letter of another workspace is the same as one that does not exist', async () => {
  const { id } = await submitLetter();
  const none = `att_${'0'.repeat(26)}`;
  const other = api.otherAuthorization;
  expect((await call('GET', '/api/dead-letters', undefined, other)).body).toEqual({ data: [], next_cursor: null });
  for (const [method, end] of [
    ['POST', '/replay'],
    ['DELETE', ''],
  ] as const) {
    const theirs = await call(method, `/api/dead-letters/submit/${id}${end}`, undefined, other);
    const unknown = await call(method, `/api/dead-letters/submit/${none}${end}`, undefined, other);
    const plain = (answer: typeof theirs, name: string) => ({
      ...answer,
      body: { ...answer.body, instance: '', detail: String(answer.body['detail']).replaceAll(name, 'ID') },
    });
    expect(plain(theirs, id)).toEqual(plain(unknown, none));
    expect(theirs.status).toBe(404);
  }
  expect((await list()).data).toMatchObject([{ id }]);
});

test('names, bodies and queries that mean nothing are refused, and change nothing', async () => {
  const { id } = await submitLetter();
  const path = `/api/dead-letters/submit/${id}`;
  const wrong = [
    ['POST', `${path}/replay`, { force: true }, 400],
    ['POST', `${path}/replay?force=1`, undefined, 400],
    ['DELETE', path, { force: true }, 400],
    ['DELETE', `${path}?force=1`, undefined, 400],
    ['GET', '/api/dead-letters?kind=submit', undefined, 400],
    ['GET', '/api/dead-letters?limit=0', undefined, 400],
    ['GET', '/api/dead-letters?cursor=x', undefined, 400],
    [
      'GET',
      `/api/dead-letters?cursor=${Buffer.from(`99999999999999999 submit ${id}`).toString('base64url')}x!`,
      undefined,
      400,
    ],
    ['POST', `/api/dead-letters/archive/${id}/replay`, undefined, 404],
    ['POST', `/api/dead-letters/look/${id}/replay`, undefined, 404],
    ['POST', `/api/dead-letters/toString/${id}/replay`, undefined, 404],
    ['DELETE', "/api/dead-letters/submit/x'--", undefined, 404],
    ['GET', path, undefined, 405],
  ] as const;
  for (const [method, url, body, status] of wrong) {
    expect({ url, status: (await call(method, url, body)).status }).toEqual({ url, status });
  }
  const last = Buffer.from(`99999999999999999 submit ${id}`).toString('base64url');
  expect((await list(`?cursor=${last}`)).data, 'a place far ahead of all').toMatchObject([{ id }]);
  expect((await call('GET', '/api/dead-letters', undefined, {})).status).toBe(401);
  expect((await call('POST', `${path}/replay`, undefined, {})).status).toBe(401);
  expect((await list()).data).toMatchObject([{ id }]);
});
