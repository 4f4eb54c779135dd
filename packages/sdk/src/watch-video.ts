import { DailiesError, TimeoutError } from './errors.ts';
import { pause } from './retry.ts';
import { isFinalStatus } from './status.ts';
import type { Video, VideoEvent } from './types.ts';

export interface WatchOptions {
  readonly signal?: AbortSignal;
  /** How often to look when no event comes: queue positions change without events. Default 5,000. */
  readonly pollMs?: number;
}

export interface WaitOptions extends WatchOptions {
  /** Rejects with a TimeoutError after so long; the video goes on. Default: no limit. */
  readonly timeoutMs?: number;
}

export interface VideoSource {
  get(id: string, options: { signal: AbortSignal }): Promise<Video>;
  events(id: string, options: { signal: AbortSignal }): AsyncIterable<VideoEvent>;
}

/** A restarting server is no reason to stop watching. */
const unreachableLimitMs = 60_000;

/**
 * The video now, and again whenever its status, queue place, charge, file or error changed, until it is final. Events
 * say when to look; where they do not get through (some proxies hold streams back), looking every `pollMs` does.
 * @throws DailiesError when the server refuses, or cannot be reached for a minute
 */
export async function* watchVideo(source: VideoSource, id: string, options: WatchOptions): AsyncGenerator<Video, void> {
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const bell = createBell();
  const listening = listen(source, id, signal, bell.ring);
  try {
    let shown = '';
    let reachedAtMs = Date.now();
    for (;;) {
      try {
        const video = await source.get(id, { signal });
        reachedAtMs = Date.now();
        const state = JSON.stringify([video.status, video.queue, video.charged_credits, video.file, video.error]);
        if (state !== shown) yield video;
        shown = state;
        if (isFinalStatus(video.status)) return;
      } catch (error) {
        const lasting = !(error instanceof DailiesError) || !error.retryable;
        if (lasting || Date.now() - reachedAtMs > unreachableLimitMs) throw error;
      }
      await bell.wait(options.pollMs ?? 5_000, signal);
    }
  } finally {
    stop.abort();
    await listening;
  }
}

/** The final video. A failed or canceled one is an answer, not an error. @throws TimeoutError, DailiesError */
export async function waitForVideo(source: VideoSource, id: string, options: WaitOptions): Promise<Video> {
  const limit = new AbortController();
  const timer = setTimeout(
    () => {
      limit.abort(new TimeoutError(`${id} was not final after ${String(options.timeoutMs)} ms; it goes on.`));
    },
    options.timeoutMs ?? 2 ** 31 - 1,
  );
  const signal = options.signal ? AbortSignal.any([options.signal, limit.signal]) : limit.signal;
  try {
    let last: Video | undefined;
    for await (const video of watchVideo(source, id, { ...options, signal })) last = video;
    if (!last) throw new TypeError('watching ended without a video');
    return last;
  } finally {
    clearTimeout(timer);
  }
}

async function listen(source: VideoSource, id: string, signal: AbortSignal, ring: () => void): Promise<void> {
  try {
    for await (const _ of source.events(id, { signal })) ring();
  } catch {
    // Looking on a timer goes on, and meets (and reports) whatever is really wrong.
  }
}

interface Bell {
  readonly ring: () => void;
  /** Returns at the next ring, at once when it rang since the last wait, or after `ms`. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

function createBell(): Bell {
  let rung = false;
  let wake: (() => void) | undefined;
  return {
    ring: () => {
      rung = true;
      wake?.();
    },
    wait: async (ms, signal) => {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      const early = new AbortController();
      const timer = pause(ms, AbortSignal.any([signal, early.signal])).catch(() => undefined);
      if (!rung) await Promise.race([woken, timer]);
      early.abort();
      rung = false;
      signal.throwIfAborted();
    },
  };
}
