import { downloadVideo, type Download, type DownloadOptions } from './download.ts';
import { createIdempotencyKey } from './idempotency-key.ts';
import { path } from './path.ts';
import type { ApiRequest, Transport, TransportOptions } from './transport.ts';
import type { CreateVideo, Estimate, Receipt, Video, VideoEvent } from './types.ts';
import { readVideoEvents, type EventsOptions } from './video-events.ts';
import { listVideos, type VideoFilter, type VideoList } from './video-list.ts';
import { waitForVideo, watchVideo, type WaitOptions, type WatchOptions } from './watch-video.ts';

export interface CallOptions {
  readonly signal?: AbortSignal;
}

export interface CreateOptions extends CallOptions {
  /** Calls with the same key and body make one video. Default: a new key per call, shared by its retries. */
  readonly idempotencyKey?: string;
}

/** Every member rejects with a DailiesError, or with the reason of an aborted `signal`. */
export interface VideosResource {
  /** Accepts a video: priced, its credits held, queued. Safe to lose the answer of: retries never make a second one. */
  create(body: CreateVideo, options?: CreateOptions): Promise<Video>;
  /** Validates and prices without storing or holding anything. */
  estimate(body: CreateVideo, options?: CallOptions): Promise<Estimate>;
  get(id: string, options?: CallOptions): Promise<Video>;
  list(filter?: VideoFilter, options?: CallOptions): VideoList;
  /** Free while queued; once Kling has the task it runs on, and what Kling charges is charged. */
  cancel(id: string, options?: CallOptions): Promise<Video>;
  /** A new video from a final one, priced again. */
  retry(id: string, options?: CreateOptions): Promise<Video>;
  /** Removes the file of a final video; receipt and ledger stay. */
  delete(id: string, options?: CallOptions): Promise<void>;
  receipt(id: string, options?: CallOptions): Promise<Receipt>;
  /** In order and each once, across broken connections; ends when nothing can come any more. */
  events(id: string, options?: EventsOptions): AsyncIterable<VideoEvent>;
  /** The video now and whenever it changed, until it is final. */
  watch(id: string, options?: WatchOptions): AsyncIterable<Video>;
  /** The final video, however it ended. */
  waitFor(id: string, options?: WaitOptions): Promise<Video>;
  /** The file as a stream that resumes by itself. */
  download(id: string, options?: DownloadOptions): Promise<Download>;
}

export function createVideosResource(
  transport: Transport,
  settings: Pick<TransportOptions, 'maxRetries' | 'retryBaseMs'> & { readonly idleTimeoutMs: number },
): VideosResource {
  const call = <Answer>(
    method: ApiRequest['method'],
    target: string,
    rest: Pick<ApiRequest, 'signal' | 'repeatable' | 'body' | 'headers'>,
  ): Promise<Answer> => transport.json<Answer>({ method, path: target, ...rest });
  const safe = (options: CallOptions): Pick<ApiRequest, 'signal' | 'repeatable'> => ({
    signal: options.signal,
    repeatable: true,
  });
  const keyed = (options: CreateOptions): Pick<ApiRequest, 'signal' | 'repeatable' | 'headers'> => ({
    ...safe(options),
    headers: { 'idempotency-key': options.idempotencyKey ?? createIdempotencyKey() },
  });

  const videos: VideosResource = {
    create: async (body, options = {}) => call('POST', '/api/videos', { ...keyed(options), body }),
    estimate: async (body, options = {}) => call('POST', '/api/videos/estimate', { ...safe(options), body }),
    get: async (id, options = {}) => call('GET', path`/api/videos/${id}`, safe(options)),
    list: (filter = {}, options = {}) => listVideos(transport, filter, options.signal),
    // A repetition would be refused as "already canceled" and hide that the first one worked.
    cancel: async (id, options = {}) =>
      call('POST', path`/api/videos/${id}/cancel`, { signal: options.signal, repeatable: false }),
    retry: async (id, options = {}) => call('POST', path`/api/videos/${id}/retry`, keyed(options)),
    delete: async (id, options = {}) => call('DELETE', path`/api/videos/${id}`, safe(options)),
    receipt: async (id, options = {}) => call('GET', path`/api/videos/${id}/receipt`, safe(options)),
    events: (id, options = {}) => readVideoEvents(transport, id, options, settings),
    watch: (id, options = {}) => watchVideo(videos, id, options),
    waitFor: async (id, options = {}) => waitForVideo(videos, id, options),
    download: async (id, options = {}) => downloadVideo(transport, id, options, settings),
  };
  return videos;
}
