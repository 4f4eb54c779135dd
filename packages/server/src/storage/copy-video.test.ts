import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BlobStore } from './blob-store.ts';
import { copyVideo, type CopiedVideo } from './copy-video.ts';
import type { Downloader } from './download.ts';
import { createTestDownloader, serveFile, startFileServer, type FileServer } from './file-server.testing.ts';
import { createFsBlobStore } from './fs.ts';

let directory: string;
let server: FileServer;
let downloader: Downloader;
let store: BlobStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'dailies-copy-'));
  store = await createFsBlobStore({ directory: join(directory, 'store') });
  server = await startFileServer();
  downloader = createTestDownloader(server);
});
afterEach(async () => {
  await downloader.close();
  await server.close();
  await rm(directory, { recursive: true });
});

const key = 'vid_1/att_1.mp4';
async function copy(signal = new AbortController().signal, target = store): Promise<CopiedVideo> {
  const remote = await downloader.open(`${server.origin}/video.mp4`, { signal });
  return copyVideo({ remote, store: target, key, spoolDirectory: join(directory, 'spool'), signal });
}

/** Names of all files left anywhere, without the folders that the store and the spool keep. */
async function leftovers(): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

describe.each([
  ['with ranges', true, true],
  ['without ranges', false, true],
  ['without ranges or length', false, false],
])('copying a video from a server %s', (_name, ranges, length) => {
  const video = makeVideo(3_000_000);

  it('stores it with its index in front, its samples untouched and its facts read', async () => {
    server.handler = serveFile(video.file, { ranges, length });
    const copied = await copy();
    const stored = await readFile(join(directory, 'store', key));
    expect(boxTypes(stored)).toEqual(['ftyp', 'moov', 'mdat']);
    expect(samplesOf(stored).equals(video.samples)).toBe(true);
    expect(copied).toEqual({
      bytes: video.file.length,
      sha256: createHash('sha256').update(stored).digest('hex'),
      etag: (await store.find(key))?.etag,
      seconds: 5,
      width: 1280,
      height: 720,
      hasAudio: false,
    });
    expect(await readdir(join(directory, 'spool')).catch(() => [])).toEqual([]);
  });

  it.each([
    ['the file lacks its end', serveFile(video.file.subarray(0, 2_000_000), { ranges, length })],
    ['the file lacks its index', serveFile(video.file.subarray(0, video.mediaEnd), { ranges, length })],
    [
      'the connection breaks on the way',
      serveFile(video.file, {
        ranges,
        length,
        write: (response, body) =>
          body.length < 100_000
            ? void response.end(body)
            : void response.write(body.subarray(0, 90_000), () => response.destroy()),
      }),
    ],
  ])('is incomplete and leaves nothing when %s', async (_case, handler) => {
    server.handler = handler;
    await expect(copy()).rejects.toMatchObject({ name: 'DownloadError', reason: 'incomplete' });
    expect(await leftovers()).toEqual([]);
  });

  it('leaves nothing and ends at once when it is aborted on the way', async () => {
    const abort = new AbortController();
    const reason = new Error('stop');
    server.handler = serveFile(video.file, {
      ranges,
      length,
      write: (response, body) => {
        if (body.length < 100_000) response.end(body);
        else response.write(body.subarray(0, 90_000), () => abort.abort(reason));
      },
    });
    await expect(copy(abort.signal)).rejects.toBe(reason);
    expect(await leftovers()).toEqual([]);
  });

  it('passes on what is no video', async () => {
    server.handler = serveFile(Buffer.from('<html>this is not a video at all</html>'), { ranges, length });
    await expect(copy()).rejects.toMatchObject({ name: 'Mp4Error', reason: 'not_mp4' });
    expect(await leftovers()).toEqual([]);
  });
});

describe('copying a video', () => {
  const video = makeVideo(1_000_000);

  it('asks the server for each byte of the media once', async () => {
    const sent: number[] = [];
    server.handler = serveFile(video.file, {
      write: (response, body) => void (sent.push(body.length), response.end(body)),
    });
    await copy();
    expect(sent.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(video.file.length + 150_000);
  });

  it('stops when the file changes between looking and copying', async () => {
    const serve = serveFile(video.file);
    const serveOther = serveFile(video.file, { etag: '"other"' });
    server.handler = (request, response) => (server.requests.length > 2 ? serveOther : serve)(request, response);
    await expect(copy()).rejects.toMatchObject({ name: 'DownloadError', reason: 'changed' });
    expect(await leftovers()).toEqual([]);
  });

  it('lets go of a silent server when the store fails', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    server.handler = serveFile(video.file, {
      write: (response, body) => {
        if (body.length < 100_000) response.end(body);
        else {
          closed = new Promise((resolve) => response.once('close', resolve));
          response.write(body.subarray(0, 90_000));
        }
      },
    });
    const full = new Error('no space');
    const sent = video.file.length - (video.samples.length + 8) + 90_000;
    const failing: BlobStore = {
      ...store,
      put: (_key, content) =>
        new Promise((_, reject) => {
          let received = 0;
          content.on('data', (piece: Buffer) => {
            received += piece.length;
            // Later, so that the copy is waiting for the server again.
            if (received === sent) setImmediate(() => reject(content.destroy() && full));
          });
        }),
    };
    await expect(copy(undefined, failing)).rejects.toBe(full);
    await closed;
  });

  it('copies a file that already streams unchanged', async () => {
    server.handler = serveFile(video.file);
    await copy();
    const streaming = await readFile(join(directory, 'store', key));
    server.handler = serveFile(streaming, { etag: '"two"' });
    await copy();
    expect((await readFile(join(directory, 'store', key))).equals(streaming)).toBe(true);
  });

  it.each([true, false])('memory does not grow with the file (ranges: %s)', async (ranges) => {
    const small = serveFile(makeVideo(30_000_000).file, { ranges });
    const large = serveFile(makeVideo(90_000_000).file, { ranges });
    server.handler = (request, response) => (request.url === '/small' ? small : large)(request, response);
    const script = new URL('copy-video.memory.testing.ts', import.meta.url).pathname;
    await mkdir(join(directory, 'child'));
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--conditions=source',
      '--disable-warning=ExperimentalWarning',
      script,
      server.origin,
      join(directory, 'child'),
      '/small',
      '/large',
    ]);
    expect(Number(stdout)).toBeGreaterThanOrEqual(0);
    expect(Number(stdout)).toBeLessThan(32 * 1024 * 1024);
    expect(boxTypes(await readFile(join(directory, 'child', 'copy.mp4')))).toEqual(['ftyp', 'moov', 'mdat']);
  });
});

/** An MP4 as the provider lays it out: media first, index last. Five samples of 1 s each; no decoder could show them. */
function makeVideo(mediaBytes: number): { file: Buffer; samples: Buffer; mediaEnd: number } {
  const fileType = box('ftyp', Buffer.from('isom\0\0\x02\0isomiso2avc1mp41'));
  const samples = Buffer.alloc(mediaBytes);
  for (let index = 0; index < mediaBytes; index += 997) samples[index] = index & 255;
  const media = box('mdat', samples);
  const each = Math.floor(mediaBytes / 5);
  const sizes = [0, 1, 2, 3].map(() => each).concat(mediaBytes - 4 * each);
  const offsets = sizes.map((_, index) => fileType.length + 8 + index * each);
  const entry = Buffer.alloc(78);
  entry.writeUInt16BE(1280, 24);
  entry.writeUInt16BE(720, 26);
  const table = box(
    'stbl',
    box('stsd', words(0, 1), box('avc1', entry)),
    box('stts', words(0, 1, 5, 1000)),
    box('stsc', words(0, 1, 1, 1, 1)),
    box('stsz', words(0, 0, 5, ...sizes)),
    box('stco', words(0, 5, ...offsets)),
  );
  const handler = box('hdlr', words(0, 0), Buffer.from('vide'), words(0, 0, 0), Buffer.from([0]));
  const header = box('mdhd', words(0, 0, 0, 1000, 5000, 0));
  const moov = box(
    'moov',
    box('mvhd', words(0, 0, 0, 1000, 5000)),
    box('trak', box('mdia', header, handler, box('minf', table))),
  );
  return { file: Buffer.concat([fileType, media, moov]), samples, mediaEnd: fileType.length + media.length };
}

function box(type: string, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([words(body.length + 8), Buffer.from(type, 'latin1'), body]);
}

function words(...values: number[]): Buffer {
  const data = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => data.writeUInt32BE(value, index * 4));
  return data;
}

function boxTypes(file: Buffer): string[] {
  const types: string[] = [];
  for (let at = 0; at < file.length; at += file.readUInt32BE(at)) types.push(file.toString('latin1', at + 4, at + 8));
  return types;
}

/** The media as a player finds it: by the offsets of the index. */
function samplesOf(file: Buffer): Buffer {
  const sizes = file.indexOf('stsz') + 4;
  const offsets = file.indexOf('stco') + 4;
  const pieces = [0, 1, 2, 3, 4].map((index) => {
    const start = file.readUInt32BE(offsets + 8 + index * 4);
    return file.subarray(start, start + file.readUInt32BE(sizes + 12 + index * 4));
  });
  return Buffer.concat(pieces);
}
