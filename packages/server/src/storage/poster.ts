import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { BlobStore } from './blob-store.ts';

const runMs = 30_000;

/**
 * Makes a poster of a stored video with ffmpeg, where the machine has it; a platform without it simply has no posters.
 * @returns a function from the video's key to the poster's key, or null; it never throws
 */
export function createPosterMaker(deps: {
  readonly blobs: BlobStore;
  readonly spoolDirectory: string;
}): (key: string, signal: AbortSignal) => Promise<string | null> {
  let missing = false;
  return async (key, signal) => {
    if (missing) return null;
    await mkdir(deps.spoolDirectory, { recursive: true });
    const folder = await mkdtemp(join(deps.spoolDirectory, 'poster-'));
    try {
      const video = join(folder, 'video.mp4');
      const poster = join(folder, 'poster.jpg');
      await pipeline(await deps.blobs.get(key, undefined, signal), createWriteStream(video), { signal });
      const result = await runFfmpeg(video, poster, signal);
      missing = result === 'missing';
      if (result !== 'made') return null;
      const posterKey = key.replace(/\.mp4$/, '.jpg');
      await storePoster(deps.blobs, posterKey, poster, signal);
      return posterKey;
    } catch {
      return null; // a video without a poster is complete
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
}

async function storePoster(blobs: BlobStore, key: string, file: string, signal: AbortSignal): Promise<void> {
  const handle = await open(file);
  const { size } = await handle.stat();
  await blobs.put(key, handle.createReadStream(), { contentType: 'image/jpeg', bytes: size, signal });
}

function runFfmpeg(video: string, poster: string, signal: AbortSignal): Promise<'made' | 'failed' | 'missing'> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(runMs)]);
  const arguments_ = [
    '-v',
    'error',
    '-nostdin',
    '-i',
    video,
    '-frames:v',
    '1',
    '-vf',
    'scale=640:-2',
    '-q:v',
    '4',
    poster,
  ];
  return new Promise((resolve) => {
    const process = spawn('ffmpeg', arguments_, { stdio: 'ignore', signal: limit });
    process.once('error', (error) => resolve('code' in error && error.code === 'ENOENT' ? 'missing' : 'failed'));
    process.once('close', (code) => resolve(code === 0 ? 'made' : 'failed'));
  });
}
