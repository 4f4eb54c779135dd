import { afterEach, expect, test } from 'vitest';
import {
  ConnectionError,
  createDailies,
  DailiesError,
  TimeoutError,
  type Dailies,
  type DailiesOptions,
} from '../src/index.ts';
import { collect, hangUp, json, problem, startWireServer, video, type Answer, type WireServer } from './wire-server.ts';

const open: WireServer[] = [];

async function setUp(
  answers: readonly Answer[],
  options: Partial<DailiesOptions> = {},
): Promise<{ server: WireServer; dailies: Dailies }> {
  const server = await startWireServer(...answers);
  open.push(server);
  return { server, dailies: createDailies({ url: server.url, apiKey: 'dk_test', retryBaseMs: 1, ...options }) };
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

test('a create carries key, body and a fresh idempotency key', async () => {
  const { server, dailies } = await setUp([json(202, video('queued'))]);
  const made = await dailies.videos.create({ prompt: 'a fox' });
  await dailies.videos.create({ prompt: 'a fox' });
  expect(made.id).toBe('vid_1');
  const [first, second] = server.seen;
  expect(first).toMatchObject({ method: 'POST', url: '/api/videos', body: '{"prompt":"a fox"}' });
  expect(first?.headers).toMatchObject({ authorization: 'Bearer dk_test', 'content-type': 'application/json' });
  expect(first?.headers['idempotency-key']).toMatch(/^sdk-.{30,}/);
  expect(second?.headers['idempotency-key']).not.toBe(first?.headers['idempotency-key']);
});

test('every try of one create carries the same idempotency key, so that a lost answer makes no second video', async () => {
  const { server, dailies } = await setUp([hangUp, problem(503, { code: 'unavailable' }), json(202, video('queued'))]);
  await dailies.videos.create({ prompt: 'a fox' }, { idempotencyKey: 'mine' });
  expect(server.seen.map((request) => request.headers['idempotency-key'])).toEqual(['mine', 'mine', 'mine']);
});

test('a refusal is one typed error with code, status, request id, mistakes and extensions, and is not repeated', async () => {
  const errors = [{ pointer: '/prompt', detail: '`prompt` must not be empty.' }];
  const body = {
    code: 'invalid_request',
    title: 'The request is not valid',
    detail: 'Read errors.',
    retryable: false,
    errors,
    limit: 2500,
  };
  const { server, dailies } = await setUp([problem(400, body, { 'x-request-id': 'req_9' })]);
  const error = await dailies.videos.create({ prompt: '' }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DailiesError);
  expect(error).toMatchObject({ code: 'invalid_request', status: 400, requestId: 'req_9', errors, retryable: false });
  expect(error).toMatchObject({ message: 'Read errors.', problem: { limit: 2500 } });
  expect(server.seen).toHaveLength(1);
});

test('the request id is also read from the problem document, where no header may be seen', async () => {
  const { dailies } = await setUp([problem(404, { code: 'not_found', instance: 'urn:dailies:request:req_7' })]);
  await expect(dailies.videos.get('vid_x')).rejects.toMatchObject({ code: 'not_found', requestId: 'req_7' });
});

test("a proxy's page is an error named after its status", async () => {
  const html: Answer = (_, response) =>
    void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad</h1>');
  const { dailies } = await setUp([html], { maxRetries: 0 });
  await expect(dailies.models.list()).rejects.toMatchObject({ code: 'http_502', status: 502, retryable: true });
});

test('a page that is not JSON is said to be no Dailies server', async () => {
  const html: Answer = (_, response) =>
    void response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Hi</h1>');
  const { dailies } = await setUp([html]);
  await expect(dailies.videos.get('vid_1')).rejects.toMatchObject({
    code: 'invalid_answer',
    message: expect.stringContaining('text/html'),
  });
});

test('reads are repeated after broken connections and 5xx, and no more often than allowed', async () => {
  const { server, dailies } = await setUp([hangUp, problem(500, { code: 'internal' }), json(200, video('queued'))]);
  expect((await dailies.videos.get('vid_1')).status).toBe('queued');
  expect(server.seen).toHaveLength(3);
  const failing = await setUp([problem(500, { code: 'internal' })], { maxRetries: 2 });
  await expect(failing.dailies.videos.get('vid_1')).rejects.toMatchObject({ code: 'internal' });
  expect(failing.server.seen).toHaveLength(3);
});

test('Retry-After is obeyed, and one beyond a minute is left to the caller', async () => {
  const busy = (seconds: string): Answer => problem(429, { code: 'rate' }, { 'retry-after': seconds });
  const { server, dailies } = await setUp([busy('0.2'), json(200, { data: [] })]);
  const before = performance.now();
  await dailies.models.list();
  expect(performance.now() - before).toBeGreaterThanOrEqual(190);
  expect(server.seen).toHaveLength(2);
  const long = await setUp([busy('3600')]);
  await expect(long.dailies.models.list()).rejects.toMatchObject({ status: 429, retryAfterMs: 3_600_000 });
  expect(long.server.seen).toHaveLength(1);
});

test('a cancel whose answer was lost is not repeated: the second would hide the first', async () => {
  const { server, dailies } = await setUp([hangUp, json(200, video('canceled'))]);
  await expect(dailies.videos.cancel('vid_1')).rejects.toBeInstanceOf(ConnectionError);
  expect(server.seen).toHaveLength(1);
});

test('a silent server ends in a TimeoutError that names the call, not the key', async () => {
  const { dailies } = await setUp([() => undefined], { timeoutMs: 40, maxRetries: 0 });
  const error = await dailies.videos.get('vid_1').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TimeoutError);
  expect(String(error)).toContain('GET http://127.0.0.1:');
  expect(String(error)).not.toContain('dk_test');
});

test('nobody listening is a ConnectionError with the reason', async () => {
  const { server } = await setUp([hangUp]);
  await server.close();
  const dailies = createDailies({ url: server.url, maxRetries: 0 });
  await expect(dailies.videos.get('vid_1')).rejects.toMatchObject({
    code: 'connection_failed',
    message: expect.stringContaining('ECONNREFUSED'),
  });
});

test("an abort by the caller rejects with the caller's reason, also between tries", async () => {
  const { dailies } = await setUp([problem(503, { code: 'unavailable' }, { 'retry-after': '50' })]);
  const stop = new AbortController();
  const call = dailies.videos.get('vid_1', { signal: stop.signal });
  setTimeout(() => stop.abort(new Error('enough')), 30);
  await expect(call).rejects.toThrow('enough');
});

test('an id stays one path segment, and dot segments are refused before anything is sent', async () => {
  const { server, dailies } = await setUp([json(200, video('queued'))]);
  await dailies.videos.get('../budget?x=1#y');
  expect(server.seen[0]?.url).toBe('/api/videos/..%2Fbudget%3Fx%3D1%23y');
  await expect(dailies.videos.delete('..')).rejects.toBeInstanceOf(TypeError);
  await expect(dailies.videos.get('')).rejects.toBeInstanceOf(TypeError);
  expect(server.seen).toHaveLength(1);
});

test('the key does not follow a redirect of a write', async () => {
  const elsewhere = await setUp([json(200, {})]);
  const { dailies } = await setUp(
    [(_, response) => void response.writeHead(307, { location: `${elsewhere.server.url}/steal` }).end()],
    { maxRetries: 0 },
  );
  await expect(dailies.videos.create({ prompt: 'x' })).rejects.toBeInstanceOf(ConnectionError);
  expect(elsewhere.server.seen).toHaveLength(0);
});

test('a list is iterated page after page with its filters', async () => {
  const { server, dailies } = await setUp([
    json(200, { data: [video('failed', { id: 'vid_2' }), video('completed')], next_cursor: 'c1' }),
    json(200, { data: [video('completed', { id: 'vid_0' })], next_cursor: null }),
  ]);
  const list = dailies.videos.list({ status: ['failed', 'completed'], metadata: { team: 'a&b' }, limit: 2 });
  expect((await collect(list)).map((entry) => entry.id)).toEqual(['vid_2', 'vid_1', 'vid_0']);
  const [first, second] = server.seen.map((request) => new URL(request.url, server.url).searchParams);
  expect(Object.fromEntries(first ?? [])).toEqual({ status: 'failed,completed', limit: '2', 'metadata[team]': 'a&b' });
  expect(second?.get('cursor')).toBe('c1');
});

test('a budget is set and taken away', async () => {
  const { server, dailies } = await setUp([json(200, { limit_credits: 5 })]);
  await dailies.budget.set(5);
  await dailies.budget.set(null);
  expect(server.seen.map(({ method, url, body }) => [method, url, body])).toEqual([
    ['PUT', '/api/budget', '{"limit_credits":5}'],
    ['PUT', '/api/budget', '{"limit_credits":null}'],
  ]);
});

test('an address that is none, or carries a password, is refused at once', () => {
  expect(() => createDailies({ url: 'localhost' })).toThrow(/is not a URL/);
  expect(() => createDailies({ url: 'ftp://x' })).toThrow(/http/);
  expect(() => createDailies({ url: 'http://me:secret@x' })).toThrow(/no user name or password/);
});

test('a webhook whose answer was lost is not made twice, and the log of deliveries goes through all pages', async () => {
  const { server: broken, dailies: unlucky } = await setUp([hangUp]);
  await expect(unlucky.webhooks.create({ url: 'https://example.com' })).rejects.toBeInstanceOf(ConnectionError);
  expect(broken.seen).toHaveLength(1);

  const { server, dailies } = await setUp([
    hangUp,
    json(200, { data: [{ id: 'dlv_2' }], next_cursor: 'next' }),
    json(200, { data: [{ id: 'dlv_1' }], next_cursor: null }),
  ]);
  const seen = await collect(dailies.webhooks.deliveries({ webhook: 'whk_1', status: 'failed', limit: 1 }));
  expect(seen.map(({ id }) => id)).toEqual(['dlv_2', 'dlv_1']);
  const first = '/api/webhooks/whk_1/deliveries?status=failed&limit=1';
  expect(server.seen.map(({ url }) => url)).toEqual([first, first, `${first}&cursor=next`]);
  expect(() => dailies.webhooks.deliveries({ webhook: 'whk_1', video: 'vid_1' })).toThrow(TypeError);
});

test('dead letters go through all pages; a replay and a dismissal whose answers were lost are not repeated', async () => {
  const { server, dailies } = await setUp([
    hangUp,
    json(200, { data: [{ id: 'att_2' }], next_cursor: 'next' }),
    json(200, { data: [{ id: 'att_1' }], next_cursor: null }),
    json(202, { id: 'att_1' }),
    hangUp,
    hangUp,
  ]);
  const seen = await collect(dailies.deadLetters.list({ limit: 1 }));
  expect(seen.map(({ id }) => id)).toEqual(['att_2', 'att_1']);
  expect(await dailies.deadLetters.replay('submit', 'att_1')).toEqual({ id: 'att_1' });
  await expect(dailies.deadLetters.replay('submit', 'att/2')).rejects.toBeInstanceOf(ConnectionError);
  await expect(dailies.deadLetters.dismiss('notify', 'dlv_1')).rejects.toBeInstanceOf(ConnectionError);
  const first = 'GET /api/dead-letters?limit=1';
  expect(server.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
    first,
    first,
    `${first}&cursor=next`,
    'POST /api/dead-letters/submit/att_1/replay',
    'POST /api/dead-letters/submit/att%2F2/replay',
    'DELETE /api/dead-letters/notify/dlv_1',
  ]);
});
