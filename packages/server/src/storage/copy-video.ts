import { Readable } from 'node:stream';
import { asError } from '../kernel/errors.ts';
import type { BlobStore } from './blob-store.ts';
import { DownloadError } from './download-error.ts';
import type { RemoteFile } from './download.ts';
import { planFaststart, type FaststartSegment } from './faststart.ts';
import { Mp4Error } from './mp4-boxes.ts';
import { onDemand } from './on-demand.ts';
import { openSpool } from './spool.ts';

export interface CopyVideoOptions {
  readonly remote: RemoteFile;
  readonly store: BlobStore;
  readonly key: string;
  /** Where a file is kept on its way when its server cannot answer ranges; created when it is missing. */
  readonly spoolDirectory: string;
  readonly signal: AbortSignal;
}

/** The stored file: length, hash and ETag are those of the stored bytes, not of the provider's. */
export interface CopiedVideo {
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly etag: string;
  readonly seconds: number;
  readonly width: number;
  readonly height: number;
  readonly hasAudio: boolean;
}

/** What both ways of copying read from; both ends of a range are included. */
interface Source {
  readonly size: number;
  readonly read: (start: number, end: number) => Promise<Uint8Array>;
  readonly stream: (start: number, end: number) => Promise<Readable>;
}

/**
 * Copies a provider's MP4 into the store with its index in front, so that it plays while it loads. From a server with
 * ranges the index is read first and the file then streamed once, straight through; from any other it is spooled to disk.
 * Memory does not grow with the file; on failure nothing is stored and nothing left over.
 * @throws DownloadError (`incomplete` also for an MP4 that lacks its end), StorageError, Mp4Error for what is no usable MP4,
 *   or the signal's reason
 */
export async function copyVideo(options: CopyVideoOptions): Promise<CopiedVideo> {
  const { remote, signal } = options;
  signal.throwIfAborted();
  try {
    if (!remote.acceptsRanges || remote.size === null) return await copyThroughSpool(options);
    return await storeVideo({ size: remote.size, read: remote.read, stream: remote.stream }, options);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

async function copyThroughSpool(options: CopyVideoOptions): Promise<CopiedVideo> {
  const { remote, spoolDirectory, signal } = options;
  const spool = await openSpool(spoolDirectory);
  try {
    await spool.fill(await remote.stream(), { expectedBytes: remote.size, signal });
    return await storeVideo(spool.source(), options);
  } finally {
    await spool.close();
  }
}

async function storeVideo(source: Source, options: CopyVideoOptions): Promise<CopiedVideo> {
  const { remote, store, key, signal } = options;
  const plan = await planFaststart(source.size, source.read).catch((error: unknown) => {
    // The index comes last at the provider, so a file without one lacks its end as well.
    if (error instanceof Mp4Error && (error.reason === 'truncated' || error.reason === 'no_moov')) {
      throw new DownloadError('incomplete', remote.host, 'the MP4 is cut short.', error);
    }
    throw error;
  });
  const content = concatenate(plan.segments, source);
  const stored = await store.put(key, content, { contentType: 'video/mp4', bytes: plan.bytes, signal });
  const { seconds, width, height, hasAudio } = plan.facts;
  return { bytes: stored.bytes, sha256: stored.sha256, etag: stored.etag, seconds, width, height, hasAudio };
}

/** The segments one after the other. A failure reaches the reader; destroying the result ends what is being read. */
function concatenate(segments: readonly FaststartSegment[], source: Source): Readable {
  const waiting = [...segments];
  let current: Readable | undefined;
  const content = new Readable({
    highWaterMark: onDemand,
    read() {
      if (current) current.resume();
      else begin().catch((error: unknown) => content.destroy(asError(error)));
    },
    destroy(error, done) {
      current?.destroy();
      done(error);
    },
  });
  async function begin(): Promise<void> {
    const segment = waiting.shift();
    if (segment === undefined) return void content.push(null);
    if (segment.kind === 'bytes') return void content.push(segment.data);
    const opened = await source.stream(segment.start, segment.end);
    if (content.destroyed) return void opened.destroy();
    current = opened;
    opened.once('error', (error) => content.destroy(error));
    opened.once('end', () => {
      current = undefined;
      begin().catch((error: unknown) => content.destroy(asError(error)));
    });
    opened.on('data', (chunk: Uint8Array) => {
      opened.pause();
      content.push(chunk);
    });
  }
  return content;
}
