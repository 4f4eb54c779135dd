import { isConnectionFailure } from '../db/connection-failure.ts';
import { pause } from '../kernel/clock.ts';
import { isFinal } from '../videos/video.ts';
import type { VideoEvent, VideoRecord, Videos } from '../videos/videos.ts';
import type { StreamMessage } from './server-sent-events.ts';

type Messages = AsyncGenerator<StreamMessage | 'heartbeat'>;

/** How long a stream may rest before it looks again: bounds the delay of events that other processes write. */
const lookMs = 1_000;
/** Every event of any video wakes every stream of its process; this bounds what a busy moment costs. */
const restMs = 100;
const heartbeatMs = 15_000;

export function answerEvent(event: VideoEvent) {
  const { seq, type, data } = event;
  return { seq, video_id: event.videoId, type, data: { ...data }, created_at: event.at.toISOString() };
}

/** Whether nothing can happen to a video any more: a canceled one waits for its charge and its file. */
export function isSettled(video: VideoRecord): boolean {
  if (!isFinal(video.state)) return false;
  return video.state !== 'canceled' || (video.chargedCredits !== null && video.file?.state !== 'pending');
}

/** All events of a video after `afterSeq`, then what comes, until nothing can come any more: then `end`. */
export async function* streamVideo(
  videos: Videos,
  target: { readonly id: string; readonly workspaceId: string; readonly afterSeq: number },
  signal: AbortSignal,
): Messages {
  const { id, workspaceId } = target;
  const beat = createBeat();
  let seq = target.afterSeq;
  let mustRead = true;
  while (!signal.aborted) {
    const more = nextLook(videos, signal); // before reading, so that nothing falls in between
    const events = await unlessAway(videos.listEvents(id, workspaceId, seq));
    if (events === undefined) {
      await more;
      if (beat.isDue()) yield 'heartbeat';
      continue;
    }
    for (const event of events) {
      yield { id: String(event.seq), event: event.type, data: answerEvent(event) };
      seq = event.seq;
    }
    // Whatever settles a video comes with an event, so the video is read only after one.
    if (mustRead || events.length > 0) {
      beat.reset();
      const video = await unlessAway(videos.get(id, workspaceId));
      mustRead = video === undefined;
      if (video === undefined || seq < video.eventSeq) continue;
      if (isSettled(video)) {
        yield { event: 'end', data: { status: video.state } };
        return;
      }
    }
    await more;
    if (beat.isDue()) yield 'heartbeat';
  }
}

/** A stream outlives an outage of the database: it rests, and goes on where it was. Undefined while the database is away. */
async function unlessAway<T>(reading: Promise<T>): Promise<T | undefined> {
  return reading.catch((error: unknown) => {
    if (isConnectionFailure(error)) return undefined;
    throw error;
  });
}

/** Resolves when a look may be worth it, and not before the rest between two looks is over. */
async function nextLook(videos: Videos, signal: AbortSignal): Promise<void> {
  await Promise.all([videos.waitForEvents(lookMs, signal), pause(restMs, signal)]);
}

/** Every event of a workspace after a cursor (null: from now on), without an end. */
export async function* streamWorkspace(
  videos: Videos,
  workspaceId: string,
  from: string | null,
  signal: AbortSignal,
): Messages {
  const beat = createBeat();
  let cursor = from;
  while (!signal.aborted) {
    const more = nextLook(videos, signal);
    const page = await unlessAway(videos.listWorkspaceEvents(workspaceId, cursor));
    if (page === undefined) {
      await more;
      if (beat.isDue()) yield 'heartbeat';
      continue;
    }
    // The place to resume from is told at once, so that a reader who breaks off before the first event misses none.
    if (cursor === null) yield { id: page.cursor, event: 'ready', data: {} };
    for (const event of page.events) yield { id: event.cursor, event: event.type, data: answerEvent(event) };
    cursor = page.cursor;
    if (page.events.length > 0) {
      beat.reset();
      continue;
    }
    await more;
    if (beat.isDue()) yield 'heartbeat';
  }
}

function createBeat() {
  let atMs = performance.now();
  const reset = (): void => {
    atMs = performance.now();
  };
  return {
    reset,
    isDue(): boolean {
      if (performance.now() - atMs < heartbeatMs) return false;
      reset();
      return true;
    },
  };
}
