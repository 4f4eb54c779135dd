import { createHash, randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { createDailies, type Dailies } from '../src/index.ts';
import { problem, startWireServer, type Answer, type WireServer } from './wire-server.ts';

const file = randomBytes(300_000);
const open: WireServer[] = [];

async function setUp(...answers: readonly Answer[]): Promise<{ server: WireServer; dailies: Dailies }> {
  const server = await startWireServer(...answers);
  open.push(server);
  return { server, dailies: createDailies({ url: server.url, retryBaseMs: 1, maxRetries: 2 }) };
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

/** Serves the file by the rules of Range and If-Range; `cutAfter` breaks the connection after so many bytes. */
function serve(etag: string, cutAfter = Infinity): Answer {
  return (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const changed = request.headers['if-range'] !== undefined && request.headers['if-range'] !== etag;
    const from = changed ? 0 : start;
    response.writeHead(from > 0 ? 206 : 200, {
      etag,
      'content-type': 'video/mp4',
      'content-length': file.length - from,
      ...(from > 0
        ? { 'content-range': `bytes ${String(from)}-${String(file.length - 1)}/${String(file.length)}` }
        : {}),
    });
    if (cutAfter === Infinity) return void response.end(file.subarray(from));
    response.write(file.subarray(from, from + cutAfter), () => setTimeout(() => response.destroy(), 10));
  };
}

async function digest(body: ReadableStream<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of body) hash.update(chunk);
  return hash.digest('hex');
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('a download that breaks twice comes out whole, each byte once', async () => {
  const { server, dailies } = await setUp(serve('"a"', 100_000), serve('"a"', 50_000), serve('"a"'));
  const download = await dailies.videos.download('vid_1');
  expect(download).toMatchObject({ sizeBytes: file.length, contentType: 'video/mp4', etag: '"a"' });
  expect(await digest(download.body)).toBe(digestOf(file));
  expect(server.seen).toHaveLength(3);
  expect(server.seen[2]?.headers).toMatchObject({ 'if-range': '"a"', range: expect.stringMatching(/^bytes=\d+-$/) });
});

test('a file that changed in between is never glued together', async () => {
  const { dailies } = await setUp(serve('"a"', 100_000), serve('"b"'));
  const { body } = await dailies.videos.download('vid_1');
  await expect(digest(body)).rejects.toMatchObject({ code: 'download_changed' });
});

test('a download goes on at an offset and knows the whole size', async () => {
  const { dailies } = await setUp(serve('"a"'));
  const { body, sizeBytes } = await dailies.videos.download('vid_1', { offset: 1000 });
  expect(sizeBytes).toBe(file.length);
  expect(await digest(body)).toBe(digestOf(file.subarray(1000)));
});

test('a connection that keeps breaking without a byte is given up', async () => {
  const { dailies } = await setUp(serve('"a"', 1000), serve('"a"', 0));
  const { body } = await dailies.videos.download('vid_1');
  await expect(digest(body)).rejects.toMatchObject({
    code: 'connection_failed',
    message: expect.stringContaining('1000'),
  });
});

test('a video without a file is refused when opened, not while reading', async () => {
  const { dailies } = await setUp(problem(409, { code: 'content_not_ready' }));
  await expect(dailies.videos.download('vid_1')).rejects.toMatchObject({ code: 'content_not_ready' });
});
