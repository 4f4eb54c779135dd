import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import { asError } from '../kernel/errors.ts';
import type { BlobStore } from './blob-store.ts';
import type { PosterDone, PosterJob } from './poster-thread.ts';

export interface PosterMaker {
  /**
   * Orders a JPEG of the first frame beside the video; never throws. Under a backlog the newest order is left out.
   * @param keep records the poster; when it answers false the poster is removed again
   */
  order(videoKey: string, keep: (posterKey: string) => Promise<boolean>): void;
  /** Finishes the one under way, leaves out the rest. */
  close(): Promise<void>;
}

export interface PosterDeps {
  readonly blobs: BlobStore;
  readonly spoolDirectory: string;
  readonly onError: (error: Error) => void;
}

const ordersMax = 100;

/**
 * Makes posters of stored videos with ffmpeg, where the machine has it, one at a time: nobody waits for a poster, and somebody
 * always waits for the processor. Starting a program stops a large process for tens of milliseconds, so a thread does it.
 */
export function createPosterMaker(deps: PosterDeps): PosterMaker {
  const { blobs, spoolDirectory } = deps;
  const ffmpeg = createFfmpegThread();
  const closing = new AbortController();
  let last: Promise<void> = Promise.resolve();
  let orders = 0;
  async function make(videoKey: string): Promise<string | null> {
    const { signal } = closing;
    if (ffmpeg.missing || signal.aborted) return null;
    await mkdir(spoolDirectory, { recursive: true });
    const folder = await mkdtemp(join(spoolDirectory, 'poster-'));
    try {
      const video = join(folder, 'video.mp4');
      const poster = join(folder, 'poster.jpg');
      await pipeline(await blobs.get(videoKey, undefined, signal), createWriteStream(video), { signal });
      if ((await ffmpeg.run(video, poster)) !== 'made') return null;
      const posterKey = videoKey.replace(/\.mp4$/, '.jpg');
      await storePoster(blobs, posterKey, poster, signal);
      return posterKey;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  async function makeAndKeep(videoKey: string, keep: (posterKey: string) => Promise<boolean>): Promise<void> {
    try {
      const posterKey = await make(videoKey);
      if (posterKey !== null && !(await keep(posterKey))) await blobs.delete(posterKey);
    } catch (error) {
      if (!closing.signal.aborted) deps.onError(asError(error)); // a video without a poster is complete
    } finally {
      orders--;
    }
  }
  return {
    order(videoKey, keep) {
      if (ffmpeg.missing || orders >= ordersMax) return;
      orders++;
      last = last.then(() => makeAndKeep(videoKey, keep));
    },
    async close() {
      closing.abort();
      await last;
      await ffmpeg.close();
    },
  };
}

async function storePoster(blobs: BlobStore, key: string, file: string, signal: AbortSignal): Promise<void> {
  const handle = await open(file);
  const { size } = await handle.stat();
  await blobs.put(key, handle.createReadStream(), { contentType: 'image/jpeg', bytes: size, signal });
}

/** Started by the first job; it does not keep the process alive. */
function createFfmpegThread() {
  const waiting = new Map<number, (result: PosterDone['result']) => void>();
  let thread: Worker | undefined;
  let jobs = 0;
  const state = {
    missing: false,
    run(video: string, poster: string): Promise<PosterDone['result']> {
      thread ??= start();
      const job: PosterJob = { id: ++jobs, video, poster };
      return new Promise((resolve) => {
        waiting.set(job.id, resolve);
        thread?.postMessage(job);
      });
    },
    async close(): Promise<void> {
      await thread?.terminate();
    },
  };
  function start(): Worker {
    const file = import.meta.url.endsWith('.ts') ? './poster-thread.ts' : './poster-thread.js';
    const worker = new Worker(new URL(file, import.meta.url));
    worker.unref();
    worker.on('message', ({ id, result }: PosterDone) => {
      state.missing = result === 'missing';
      waiting.get(id)?.(result);
      waiting.delete(id);
    });
    worker.once('exit', () => {
      thread = undefined;
      for (const resolve of waiting.values()) resolve('failed');
      waiting.clear();
    });
    worker.on('error', () => {}); // its exit answers whoever waits
    return worker;
  }
  return state;
}
