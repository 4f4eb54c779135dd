import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deliverVideo, openApi, publicUrl, type TestApi } from './support/api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await openApi({ limit: '1000', slots: 100 });
});

afterAll(() => api.close());

async function call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: unknown, headers: object = {}) {
  return api.app.inject({
    method,
    url,
    ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    headers: {
      ...api.authorization,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
  });
}

async function create(body: object = {}, headers: object = {}): Promise<string> {
  const answer = await call('POST', '/api/videos', { prompt: 'a red fox', ...body }, headers);
  expect(answer.statusCode, answer.body).toBe(202);
  return answer.json<{ id: string }>().id;
}

test('only a prompt makes a video: priced, held, queued and fully described', async () => {
  const answer = await call('POST', '/api/videos', { prompt: 'a red fox running through fresh snow' });
  expect(answer.statusCode).toBe(202);
  const video = answer.json<{ id: string }>();
  expect(answer.headers['location']).toBe(`/api/videos/${video.id}`);
  expect(video).toEqual({
    id: expect.stringMatching(/^vid_[0-9a-z]{26}$/),
    job_id: video.id,
    status: 'queued',
    provider: 'sandbox',
    product: 'text2video',
    model: 'kling-2.6',
    mode: 'std',
    duration: 5,
    aspect_ratio: '16:9',
    sound: false,
    prompt: 'a red fox running through fresh snow',
    metadata: {},
    estimated_credits: 1.5,
    charged_credits: null,
    estimated_cost: { amount: '0.21', currency: 'USD' },
    queue: { position: 1, starts_at: expect.any(String), ends_at: expect.any(String) },
    video_url: null,
    poster_url: null,
    file: null,
    error: null,
    warnings: [],
    retry_of: null,
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    started_at: null,
    completed_at: null,
    deleted_at: null,
    links: {
      self: `/api/videos/${video.id}`,
      events: `/api/videos/${video.id}/events`,
      content: null,
      cancel: `/api/videos/${video.id}/cancel`,
    },
  });
  const read = await call('GET', `/api/videos/${video.id}`);
  expect(read.json()).toMatchObject({ id: video.id, status: 'queued', estimated_credits: 1.5 });
});

test('the request of the reference architecture is accepted as it is written there', async () => {
  const body = { prompt: 'a red fox', model: 'kling-v2-master', duration: 5, mode: 'standard' };
  const answer = await call('POST', '/api/videos', body);
  expect(answer.statusCode).toBe(202);
  expect(answer.json()).toMatchObject({ status: 'queued', estimated_credits: 10, mode: null });
});

test('an idempotency key replays the first answer byte for byte, and says so; another body is a conflict', async () => {
  const headers = { 'idempotency-key': 'order-17' };
  const first = await call('POST', '/api/videos', { prompt: 'once' }, headers);
  const second = await call('POST', '/api/videos', { prompt: 'once' }, headers);
  expect([first.statusCode, second.statusCode]).toEqual([202, 202]);
  expect(second.json()).toEqual(first.json());
  expect(second.headers['location']).toBe(first.headers['location']);
  expect([first.headers['idempotency-replayed'], second.headers['idempotency-replayed']]).toEqual([undefined, 'true']);
  const other = await call('POST', '/api/videos', { prompt: 'twice' }, headers);
  expect(other.statusCode).toBe(409);
  expect(other.json()).toMatchObject({
    code: 'idempotency_key_reused',
    errors: [{ pointer: 'header:Idempotency-Key' }],
  });
});

test('an estimate costs and stores nothing', async () => {
  const before = (await call('GET', '/api/budget')).json<object>();
  const answer = await call('POST', '/api/videos/estimate', { prompt: 'a red fox', duration: 10, mode: 'pro' });
  expect(answer.json()).toMatchObject({
    provider: 'sandbox',
    estimated_credits: 5,
    estimated_cost: { amount: '0.70', currency: 'USD' },
    within_budget: true,
    queue: { position: expect.any(Number) },
  });
  expect((await call('GET', '/api/budget')).json()).toEqual(before);
});

test('a list is paged without gaps or repeats while videos come close together, and filtered', async () => {
  const made: string[] = [];
  await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      made.push(await create({ metadata: { batch: 'paged', 'shot no': String(index % 2) } }));
    }),
  );
  // Closer together than a JavaScript date can tell.
  await sql`update videos set accepted_at = '2026-01-01T00:00:00Z'::timestamptz + numbered.place * interval '1 microsecond'
    from (select id, row_number() over (order by id) as place from videos) numbered where numbered.id = videos.id`.execute(
    api.database.kysely,
  );
  const seen: string[] = [];
  let cursor: string | null = null;
  do {
    const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const answer = await call('GET', `/api/videos?metadata[batch]=paged&limit=5${more}`);
    const page = answer.json<{ data: { id: string }[]; next_cursor: string | null }>();
    seen.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
  } while (cursor !== null);
  expect(seen.toSorted()).toEqual(made.toSorted());
  const count = async (query: string) => (await call('GET', `/api/videos?${query}`)).json<{ data: [] }>().data.length;
  expect(await count('metadata.batch=paged&metadata[shot%20no]=1')).toBe(6);
  expect(await count('metadata[batch]=paged&status=completed,failed')).toBe(0);
  expect(await count('metadata[batch]=paged&status=completed&status=queued&model=kling-v2-6')).toBe(12);
  expect(await count('metadata[batch]=paged&model=kling-3.0')).toBe(0);
});

test('things of another workspace are the same 404 as things that do not exist', async () => {
  const id = await create();
  const unknown = `vid_${'0'.repeat(26)}`;
  const requests = [
    ['GET', ''],
    ['DELETE', ''],
    ['POST', '/cancel'],
    ['POST', '/retry'],
    ['GET', '/receipt'],
    ['GET', '/events'],
    ['GET', '/content'],
  ] as const;
  for (const [method, suffix] of requests) {
    const ask = async (one: string) => {
      const url = `/api/videos/${one}${suffix}`;
      const answer = await api.app.inject({ method, url, headers: api.otherAuthorization });
      const { instance: _instance, ...problem } = answer.json<{ instance: string }>();
      return [answer.statusCode, JSON.stringify(problem).replaceAll(one, 'ID')];
    };
    const foreign = await ask(id);
    expect(foreign[0]).toBe(404);
    expect(foreign).toEqual(await ask(unknown));
  }
  const list = await api.app.inject({ url: '/api/videos', headers: api.otherAuthorization });
  expect(list.json()).toEqual({ data: [], next_cursor: null });
});

test('a canceled video is free, ends its money, and can neither be canceled again nor lose its receipt', async () => {
  const id = await create();
  const canceled = await call('POST', `/api/videos/${id}/cancel`, undefined, { 'content-type': 'application/json' });
  expect(canceled.statusCode).toBe(200);
  expect(canceled.json()).toMatchObject({
    status: 'canceled',
    charged_credits: 0,
    queue: null,
    links: { cancel: null },
  });
  const again = await call('POST', `/api/videos/${id}/cancel`);
  expect(again.statusCode).toBe(409);
  expect(again.json()).toMatchObject({ code: 'state_conflict', detail: expect.stringContaining('canceled') });
  const receipt = await call('GET', `/api/videos/${id}/receipt`);
  expect(receipt.json()).toMatchObject({
    video_id: id,
    estimated_credits: 1.5,
    held_credits: 0,
    captured_credits: 0,
    released_credits: 1.5,
    entries: [{ kind: 'hold' }, { kind: 'release' }],
  });
});

test('a video that is not final cannot be deleted; a final one becomes a tombstone whose content is gone', async () => {
  const waiting = await create();
  const refused = await call('DELETE', `/api/videos/${waiting}`);
  expect(refused.statusCode).toBe(409);
  expect(refused.json()).toMatchObject({ code: 'state_conflict', detail: expect.stringContaining('queued') });
  const early = await call('GET', `/api/videos/${waiting}/content`);
  expect([early.statusCode, early.json<{ code: string }>().code]).toEqual([409, 'content_not_ready']);

  await deliverVideo(api, waiting, randomBytes(2_000));
  expect((await call('DELETE', `/api/videos/${waiting}`)).statusCode).toBe(204);
  expect((await call('DELETE', `/api/videos/${waiting}`)).statusCode).toBe(204);
  const gone = await call('GET', `/api/videos/${waiting}/content`);
  expect([gone.statusCode, gone.json<{ code: string }>().code]).toEqual([410, 'content_deleted']);
  const tombstone = await call('GET', `/api/videos/${waiting}`);
  expect(tombstone.json()).toMatchObject({ status: 'completed', video_url: null, file: null });
});

test('a retry is a new video that names the one it was made from, under an idempotency key of its own', async () => {
  const id = await create({ prompt: 'again', metadata: { take: '1' } });
  expect((await call('POST', `/api/videos/${id}/retry`)).statusCode).toBe(409);
  await call('POST', `/api/videos/${id}/cancel`);
  const headers = { 'idempotency-key': 'retry-1' };
  const first = await call('POST', `/api/videos/${id}/retry`, undefined, headers);
  const second = await call('POST', `/api/videos/${id}/retry`, undefined, headers);
  expect(first.statusCode, first.body).toBe(202);
  expect(first.json()).toMatchObject({ retry_of: id, prompt: 'again', metadata: { take: '1' }, status: 'queued' });
  expect(second.json()).toEqual(first.json());
  expect((await call('POST', `/api/videos/${id}/retry`, { prompt: 'x' })).statusCode).toBe(400);
});

test('the budget is read, set and removed; the next create obeys it and the 402 says how to go on', async () => {
  const budget = (await call('GET', '/api/budget')).json<{ held_credits: number; captured_credits: number }>();
  const spent = budget.held_credits + budget.captured_credits;
  const set = await call('PUT', '/api/budget', { limit_credits: spent + 1 });
  expect(set.json()).toMatchObject({ limit_credits: spent + 1, available_credits: 1, period: 'total' });
  const refused = await call('POST', '/api/videos', { prompt: 'too dear' });
  expect(refused.statusCode).toBe(402);
  expect(refused.json()).toMatchObject({ code: 'over_budget', needed_credits: 1.5, available_credits: 1 });
  expect((await call('PUT', '/api/budget', { limit_credits: null })).json()).toMatchObject({ available_credits: null });
  expect((await call('PUT', '/api/budget', { limit_credits: '999.5' })).json()).toMatchObject({ limit_credits: 999.5 });
});

test('models carry prices and limits; pools, health and the reference are there', async () => {
  const models = (await call('GET', '/api/models')).json<{ data: { id: string; default: boolean }[] }>().data;
  expect(models.filter((model) => model.default).map((model) => model.id)).toEqual(['kling-2.6']);
  expect((await call('GET', '/api/pools')).json()).toEqual({ data: [] });
  expect((await api.app.inject('/healthz')).json()).toMatchObject({ status: 'ok' });
  expect((await api.app.inject('/readyz')).statusCode).toBe(200);
  api.health.addCheck('storage', () => Promise.reject(new Error('disk secret')));
  const sick = await api.app.inject('/readyz');
  expect(sick.statusCode).toBe(503);
  expect(sick.json()).toMatchObject({ status: 'not_ready', checks: { storage: { ok: false } } });
  expect(sick.body).not.toContain('disk secret');
  expect((await api.app.inject('/openapi.json')).json()).toMatchObject({
    openapi: '3.1.0',
    servers: [{ url: publicUrl }],
  });
  for (const page of ['/docs', '/docs/errors']) {
    const answer = await api.app.inject(page);
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'");
    expect(answer.body).not.toMatch(/<script|https?:\/\/(?!videos\.example\.com)/);
  }
});

test('every answer forbids sniffing, framing and scripts, and allows no other origin', async () => {
  const answer = await call('GET', '/api/videos', undefined, { origin: 'https://evil.example' });
  expect(answer.headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
  });
  expect(answer.headers['access-control-allow-origin']).toBeUndefined();
});
