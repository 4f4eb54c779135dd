import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFsBlobStore } from './fs.ts';
import { createPosterMaker } from './poster.ts';
import type { BlobStore } from './blob-store.ts';

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0;
const signal = new AbortController().signal;
let folder: string;
let blobs: BlobStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dailies-poster-'));
  blobs = await createFsBlobStore({ directory: join(folder, 'files') });
});
afterAll(async () => {
  await blobs.close();
  await rm(folder, { recursive: true, force: true });
});

async function store(key: string, content: Buffer): Promise<void> {
  await blobs.put(key, Readable.from([content]), { contentType: 'video/mp4', bytes: content.length, signal });
}

/** What became of one order: the key it was kept under, or what was reported, or `nothing`. */
async function orderOne(key: string, keep = true): Promise<string> {
  const heard: string[] = [];
  const maker = createPosterMaker({
    blobs,
    spoolDirectory: join(folder, 'spool'),
    onError: (error) => void heard.push(error.name),
  });
  const decided = new Promise<void>((resolve) => {
    maker.order(key, async (posterKey) => {
      heard.push(posterKey);
      resolve();
      return keep;
    });
    // Orders are made one after another, so a second one that fails tells that the first is over.
    maker.order('ws/never-there.mp4', () => Promise.resolve(true));
    const waiting = setInterval(() => {
      if (!heard.includes('StorageError')) return;
      clearInterval(waiting);
      resolve();
    }, 5);
  });
  await decided;
  await maker.close();
  return heard[0] === 'StorageError' ? 'nothing' : (heard[0] ?? '');
}

test.skipIf(!hasFfmpeg)(
  'a stored video gains a JPEG beside it, and nothing is left behind (skipped without ffmpeg)',
  async () => {
    await store('ws/one.mp4', clip());
    expect(await orderOne('ws/one.mp4')).toBe('ws/one.jpg');
    expect((await contentOf('ws/one.jpg')).subarray(0, 2).toString('hex')).toBe('ffd8');
    expect(await readdir(join(folder, 'spool'))).toEqual([]);
  },
);

test.skipIf(!hasFfmpeg)('the poster of a video that is gone goes as well (skipped without ffmpeg)', async () => {
  await store('ws/gone.mp4', clip());
  expect(await orderOne('ws/gone.mp4', false)).toBe('ws/gone.jpg');
  expect(await blobs.find('ws/gone.jpg')).toBeUndefined();
});

test('what is no video has no poster, and that is no error', async () => {
  await store('ws/two.mp4', Buffer.from('not a video'));
  expect(await orderOne('ws/two.mp4')).toBe('nothing');
});

function clip(): Buffer {
  const source = ['-f', 'lavfi', '-i', 'testsrc=d=1:s=320x180'];
  return spawnSync('ffmpeg', ['-v', 'error', ...source, '-f', 'mp4', '-movflags', 'frag_keyframe', '-']).stdout;
}

async function contentOf(key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await blobs.get(key, undefined, signal)) chunks.push(chunk as Buffer); // a file's stream
  return Buffer.concat(chunks);
}
