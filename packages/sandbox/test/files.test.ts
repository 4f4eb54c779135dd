import { expect, test } from 'vitest';
import { createStandard, ended, openSandbox } from './harness.ts';

type Options = Parameters<typeof openSandbox>[0];

async function openWithFile(options: Options = {}, fields: object = {}) {
  const client = await openSandbox(options);
  const id = await createStandard(client, fields);
  const freshUrl = async (): Promise<string> => (await client.get(`/tasks?task_ids=${id}`)).body.data[0].outputs[0].url;
  const { outputs, update_time: endedAt } = await ended(client, id);
  return { client, endedAt, freshUrl, url: new URL(outputs[0].url) };
}

const isMp4 = (bytes: Uint8Array): boolean => Buffer.from(bytes.slice(4, 8)).toString() === 'ftyp';
const hasMoov = (bytes: Uint8Array): boolean => Buffer.from(bytes).includes('moov');

test('a file URL has Kling’s shape on our own host and expires 30 days after completion', async () => {
  const { url, endedAt, freshUrl } = await openWithFile();
  expect(url.hostname).toBe('127.0.0.1');
  expect(url.pathname).toMatch(
    /^\/bs2\/upload-ylab-stunt-sgp\/muse\/\d{18}\/VIDEO\/\d{8}\/[0-9a-f]{32}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.mp4$/,
  );
  expect(url.searchParams.get('x-kcdn-pid')).toBe('112781');
  expect(url.searchParams.has('Key-Pair-Id')).toBe(true);
  expect(Number(url.searchParams.get('Expires'))).toBe(Math.floor(endedAt / 1000) + 30 * 86_400);
  expect(await freshUrl()).toBe(url.href);
});

test('the whole file is an MP4 with its length, an ETag and moov at the end', async () => {
  const { url } = await openWithFile();
  const response = await fetch(url);
  const bytes = await response.bytes();
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('video/mp4');
  expect(response.headers.get('accept-ranges')).toBe('bytes');
  expect(Number(response.headers.get('content-length'))).toBe(bytes.length);
  expect(isMp4(bytes)).toBe(true);
  const text = Buffer.from(bytes);
  expect(text.indexOf('moov')).toBeGreaterThan(text.indexOf('mdat'));
  const head = await fetch(url, { method: 'HEAD' });
  expect(head.headers.get('etag')).toBe(response.headers.get('etag'));
  expect(Number(head.headers.get('content-length'))).toBe(bytes.length);
});

test('tiny files differ from task to task and stay within 20 KB', async () => {
  const client = await openSandbox();
  const files = await Promise.all(
    [1, 2, 3].map(async () => {
      const { outputs } = await ended(client, await createStandard(client));
      return (await fetch(outputs[0].url)).bytes();
    }),
  );
  for (const bytes of files) expect(bytes.length).toBeLessThanOrEqual(20 * 1024);
  expect(new Set(files.map((bytes) => Buffer.from(bytes).toString('base64'))).size).toBe(3);
});

test('Range answers 206 with exactly those bytes, 416 beyond the end', async () => {
  const { url } = await openWithFile();
  const whole = await (await fetch(url)).bytes();
  const size = whole.length;
  const part = async (range: string, more: Record<string, string> = {}) => {
    const response = await fetch(url, { headers: { range, ...more } });
    return {
      status: response.status,
      contentRange: response.headers.get('content-range'),
      bytes: await response.bytes(),
    };
  };
  for (const [range, start, end] of [
    ['bytes=0-9', 0, 9],
    ['bytes=5-', 5, size - 1],
    ['bytes=-8', size - 8, size - 1],
    [`bytes=3-${size + 100}`, 3, size - 1],
    [`bytes=-${size + 100}`, 0, size - 1],
  ] as const) {
    const answer = await part(range);
    expect(answer, range).toMatchObject({ status: 206, contentRange: `bytes ${start}-${end}/${size}` });
    expect(answer.bytes, range).toEqual(whole.slice(start, end + 1));
  }
  expect(await part(`bytes=${size}-`)).toMatchObject({ status: 416, contentRange: `bytes */${size}` });
  for (const ignored of ['bytes=9-3', 'bytes=0-1,5-6', 'lines=1-2', 'bytes=-']) {
    expect((await part(ignored)).status, ignored).toBe(200);
  }
  const etag = (await fetch(url)).headers.get('etag') ?? '';
  expect((await part('bytes=0-9', { 'if-range': etag })).status).toBe(206);
  expect((await part('bytes=0-9', { 'if-range': '"other"' })).status).toBe(200);
});

test('without Range support the whole file comes, and nothing promises otherwise', async () => {
  const { url } = await openWithFile({ rangeRequests: false });
  const response = await fetch(url, { headers: { range: 'bytes=0-9' } });
  expect(response.status).toBe(200);
  expect(response.headers.has('accept-ranges')).toBe(false);
});

test('an expired, a tampered and an unsigned URL get 403, an unknown file 404', async () => {
  const expired = await openWithFile({ urlLifetimeMs: -1000 });
  expect((await fetch(expired.url)).status).toBe(403);

  const { url } = await openWithFile();
  const longer = new URL(url);
  longer.searchParams.set('Expires', String(Number(url.searchParams.get('Expires')) + 1));
  expect((await fetch(longer)).status).toBe(403);
  const other = new URL(url);
  other.pathname = other.pathname.replace(/.\.mp4$/, 'x.mp4');
  expect((await fetch(other)).status).toBe(403);
  const unsigned = new URL(url);
  unsigned.searchParams.delete('Signature');
  expect((await fetch(unsigned)).status).toBe(403);
});

test('expired_url: 403 until the next query hands out a good address', async () => {
  const { url, freshUrl } = await openWithFile({}, { prompt: 'x [[fault:expired_url]]' });
  expect(Number(url.searchParams.get('Expires')) * 1000).toBeLessThan(Date.now());
  expect(await freshUrl()).toBe(url.href);
  expect((await fetch(url)).status).toBe(403);
  expect((await fetch(await freshUrl())).status).toBe(200);
});

test('truncated_file: a consistent answer with a broken file, once', async () => {
  const { url } = await openWithFile({}, { prompt: 'x [[fault:truncated_file]]' });
  const response = await fetch(url);
  const bytes = await response.bytes();
  expect(response.status).toBe(200);
  expect(Number(response.headers.get('content-length'))).toBe(bytes.length);
  expect(hasMoov(bytes)).toBe(false);
  expect(hasMoov(await (await fetch(url)).bytes())).toBe(true);
});

test('wrong_length: fewer bytes than announced, as often as asked', async () => {
  const { url } = await openWithFile({}, { prompt: 'x [[fault:wrong_length*2]]' });
  for (let index = 0; index < 2; index++)
    await expect(fetch(url).then((response) => response.bytes())).rejects.toThrow();
  expect((await (await fetch(url)).bytes()).length).toBeGreaterThan(0);
});

test('no_range: one download ignores Range', async () => {
  const { url } = await openWithFile({}, { prompt: 'x [[fault:no_range]]' });
  const headers = { range: 'bytes=0-9' };
  expect((await fetch(url, { headers })).status).toBe(200);
  expect((await fetch(url, { headers })).status).toBe(206);
});

test('a real file is what was ordered', async () => {
  const { url } = await openWithFile({ files: 'real' }, { settings: { duration: 3, aspect_ratio: '9:16' } });
  const bytes = await (await fetch(url)).bytes();
  const { ALL_FORMATS, BufferSource, Input } = await import('mediabunny');
  const input = new Input({ source: new BufferSource(bytes), formats: ALL_FORMATS });
  const track = await input.getPrimaryVideoTrack();
  expect(track).toMatchObject({ codec: 'avc', displayWidth: 720, displayHeight: 1280 });
  expect(await input.computeDuration()).toBeCloseTo(3.041, 2);
  expect(await input.getPrimaryAudioTrack()).toBeNull();
});
