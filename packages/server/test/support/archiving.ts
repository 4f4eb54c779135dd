import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { BlobStore } from '../../src/storage/blob-store.ts';
import { copyVideo } from '../../src/storage/copy-video.ts';
import { createDownloader } from '../../src/storage/download.ts';
import { DownloadError } from '../../src/storage/download-error.ts';
import { archive, type ArchiveDeps } from '../../src/videos/archive.ts';
import type { openKlingCore } from './kling-core.ts';

type Core = Awaited<ReturnType<typeof openKlingCore>>;

/** The archive handler with real downloads from the sandbox into a store. `interrupt` runs when a copy has begun. */
export function openArchiving(
  core: Core,
  interrupt: () => Promise<void> = async () => {},
  store: BlobStore = core.blobs,
) {
  const downloader = createDownloader({
    allowedHosts: [],
    trustedOrigins: [core.sandbox.url],
    maxBytes: 2 ** 30,
    maxRedirects: 3,
    connectTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
  });
  onTestFinished(() => downloader.close());
  const spoolDirectory = join(core.filesDirectory, '..', `${core.filesDirectory}-spool`);
  const deps: ArchiveDeps = {
    kling: core.kling,
    async copy(url, key, signal) {
      const remote = await downloader.open(url, { signal });
      await interrupt();
      return copyVideo({ remote, store, key, spoolDirectory, signal });
    },
    isGone: (error) => error instanceof DownloadError && (error.reason === 'expired' || error.reason === 'missing'),
    orderPoster: () => {},
  };
  return {
    async archive(videoId: string, signal = new AbortController().signal) {
      return archive(core.context, deps, (await core.file(videoId)).id, signal);
    },
    /** Until Kling's success is settled and the file waits for its copy. */
    async succeed(body: Record<string, unknown> = {}): Promise<string> {
      const id = await core.bring(body);
      await core.ended();
      await core.advance(600_000);
      await core.look();
      return id;
    },
  };
}
