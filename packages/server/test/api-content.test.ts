import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deliverVideo, openApi, publicUrl, type TestApi } from './support/api.ts';

const content = randomBytes(100_000);
let api: TestApi;
let id: string;
let path: string;

beforeAll(async () => {
  api = await openApi();
  id = await api.core.create({ prompt: 'Ein "Fuchs" im Schnee\r\nSet-Cookie: x – 狐' });
  await deliverVideo(api, id, content);
  path = `/api/videos/${id}/content`;
});

afterAll(() => api.close());

function get(url: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') {
  return api.app.inject({ method, url, headers });
}

async function link(): Promise<string> {
  const answer = await get(`/api/videos/${id}`, api.authorization);
  const { video_url: url } = answer.json<{ video_url: string }>();
  expect(url.startsWith(`${publicUrl}${path}?`)).toBe(true);
  return url.slice(publicUrl.length);
}

test('a completed video names its file, and no answer carries an address of the provider', async () => {
  const answers = [
    await get(`/api/videos/${id}`, api.authorization),
    await get('/api/videos', api.authorization),
    await get(`/api/videos/${id}/receipt`, api.authorization),
    await get(`/api/videos/${id}/events`, { ...api.authorization, accept: 'application/json' }),
  ];
  expect(answers[0]?.json()).toMatchObject({
    status: 'completed',
    charged_credits: 1.5,
    file: {
      bytes: content.length,
      seconds: 5,
      width: 1280,
      height: 720,
      sha256: createHash('sha256').update(content).digest('hex'),
    },
    links: { content: path, cancel: null },
  });
  for (const answer of answers) expect(answer.body).not.toContain('kling.example');
});

test('the whole file comes by key and by signed link, under a name that is safe in any file system and header', async () => {
  for (const [url, headers, caching] of [
    [path, api.authorization, 'private, max-age=300'],
    [await link(), {}, expect.stringMatching(/^public, max-age=3(600|59\d)$/)],
  ] as const) {
    const answer = await get(url, headers);
    expect(answer.statusCode).toBe(200);
    expect(answer.rawPayload.equals(content)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': String(content.length),
      'accept-ranges': 'bytes',
      'cache-control': caching,
      'content-disposition': expect.stringMatching(/^inline; filename="ein-fuchs-im-schnee-[a-z0-9-]+\.mp4"$/),
    });
  }
  const saved = await get(`${await link()}&download=1`);
  expect(saved.headers['content-disposition']).toMatch(/^attachment; filename="[a-z0-9-]+\.mp4"$/);
});

test('HEAD tells all and sends nothing', async () => {
  const answer = await get(path, api.authorization, 'HEAD');
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['content-length']).toBe(String(content.length));
  expect(answer.rawPayload).toHaveLength(0);
});

test.each([
  ['bytes=0-99', 206, [0, 100], 'bytes 0-99/100000'],
  ['bytes=99990-', 206, [99_990, 100_000], 'bytes 99990-99999/100000'],
  ['bytes=-10', 206, [99_990, 100_000], 'bytes 99990-99999/100000'],
  ['bytes=99999-200000', 206, [99_999, 100_000], 'bytes 99999-99999/100000'],
  ['bytes=0-1,5-6', 200, [0, 100_000], undefined],
  ['bytes=nonsense', 200, [0, 100_000], undefined],
] as const)('Range %s answers %i with exactly these bytes', async (range, status, [start, end], contentRange) => {
  const answer = await get(path, { ...api.authorization, range });
  expect(answer.statusCode).toBe(status);
  expect(answer.headers['content-range']).toBe(contentRange);
  expect(answer.rawPayload.equals(content.subarray(start, end))).toBe(true);
});

test('a range outside the file is 416 and names the length', async () => {
  const answer = await get(path, { ...api.authorization, range: 'bytes=100000-' });
  expect(answer.statusCode).toBe(416);
  expect(answer.headers['content-range']).toBe('bytes */100000');
  expect(answer.json()).toMatchObject({ code: 'range_not_satisfiable' });
});

test('validators: the same file is not sent again, and a resumed download of another file starts over', async () => {
  const etag = String((await get(path, api.authorization, 'HEAD')).headers['etag']);
  expect(etag).toMatch(/^"[^"]+"$/);
  expect((await get(path, { ...api.authorization, 'if-none-match': etag })).statusCode).toBe(304);
  expect((await get(path, { ...api.authorization, 'if-none-match': '"other"' })).statusCode).toBe(200);
  const resumed = await get(path, { ...api.authorization, range: 'bytes=5-', 'if-range': etag });
  expect(resumed.statusCode).toBe(206);
  const changed = await get(path, { ...api.authorization, range: 'bytes=5-', 'if-range': '"other"' });
  expect([changed.statusCode, changed.rawPayload.length]).toEqual([200, content.length]);
});

test('a link works for its file and its time only, and wrong links all get the same answer', async () => {
  const good = await link();
  const other = await api.core.create();
  const query = new URL(good, publicUrl).searchParams;
  query.set('expires', String(Number(query.get('expires')) + 1));
  const wrong = [
    `${path}?${query.toString()}`,
    `${good.slice(0, -2)}xx`,
    good.replace(id, other),
    good.replace(id, `vid_${'0'.repeat(26)}`),
    `${path}?signature=x`,
  ];
  for (const url of wrong) {
    const answer = await get(url);
    expect(answer.statusCode, url).toBe(403);
    expect(answer.json()).toMatchObject({ code: 'link_invalid', detail: expect.stringContaining('fresh') });
  }
  expect((await get(path)).statusCode).toBe(401);
  expect((await get(good)).statusCode).toBe(200);
  api.passTime(3_601_000);
  expect((await get(good)).statusCode).toBe(403);
  expect((await get(await link())).statusCode).toBe(200);
});

test('a cache on the way may keep what a link opened until the link ends, and nothing that a key opened or that was refused', async () => {
  const url = await link();
  api.passTime(3_000_000);
  const late = await get(url);
  expect(late.headers['cache-control']).toMatch(/^public, max-age=(600|59\d)$/);
  expect(late.headers['vary']).toBeUndefined();
  // A link decides even where a key comes with it: the answer must not depend on the key.
  expect((await get(url, { authorization: 'Bearer unknown' })).statusCode).toBe(200);
  expect((await get(path, api.authorization)).headers).toMatchObject({
    'cache-control': 'private, max-age=300',
    vary: 'authorization',
  });
  expect((await get(`${url}x`)).headers['cache-control']).not.toContain('public');
  expect((await get(path)).headers['cache-control']).not.toContain('public');
});

test('a canceled video that was paid for keeps its file for its owner', async () => {
  const paid = await api.core.create();
  await deliverVideo(api, paid, Buffer.from('paid for'), 'canceled');
  const video = (await get(`/api/videos/${paid}`, api.authorization)).json<{ status: string; video_url: string }>();
  expect(video.status).toBe('canceled');
  expect((await get(video.video_url.slice(publicUrl.length))).body).toBe('paid for');
});
