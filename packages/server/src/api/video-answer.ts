import { creditsToCost, creditsToNumber } from '../kernel/money.ts';
import type { VideoFile, VideoRecord } from '../videos/videos.ts';
import type { ContentLinks } from './content-links.ts';
import type { VideoAnswer } from './schemas/video-schema.ts';

/** Where a video is on this server. */
export function videoPath(id: string): string {
  return `/api/videos/${id}`;
}

/** The file that can be delivered now: the video's own, or one that came after it was canceled. */
export function storedFile(video: VideoRecord): VideoFile | null {
  return video.file?.state === 'stored' ? video.file : null;
}

/** The public video with fresh links. */
export async function answerVideo(video: VideoRecord, links: ContentLinks): Promise<VideoAnswer> {
  const file = storedFile(video);
  if (!file) return answerWithoutLinks(video);
  const [videoUrl, posterUrl] = await Promise.all([
    links.sign(video, file, 'content'),
    file.posterKey === null ? null : links.sign(video, file, 'poster'),
  ]);
  return { ...answerWithoutLinks(video), video_url: videoUrl, poster_url: posterUrl };
}

/** The public video of a record that has no file yet: what a create answers, and what an idempotency key replays. */
export function answerWithoutLinks(video: VideoRecord): VideoAnswer {
  const { request } = video;
  return {
    id: video.id,
    job_id: video.id,
    status: video.state,
    provider: video.provider,
    product: request.product,
    model: request.model,
    mode: request.mode,
    duration: request.duration,
    aspect_ratio: request.aspect_ratio,
    sound: request.sound,
    prompt: request.prompt,
    metadata: { ...video.metadata },
    estimated_credits: creditsToNumber(video.estimatedCredits),
    charged_credits: video.chargedCredits === null ? null : creditsToNumber(video.chargedCredits),
    estimated_cost: creditsToCost(video.estimatedCredits),
    queue: video.queue && answerQueue(video.queue),
    video_url: null,
    poster_url: null,
    file: answerFile(storedFile(video)),
    error: video.error && answerError(video.error),
    warnings: answerWarnings(video),
    retry_of: video.retryOf,
    created_at: video.acceptedAt.toISOString(),
    started_at: video.startedAt?.toISOString() ?? null,
    completed_at: video.completedAt?.toISOString() ?? null,
    deleted_at: video.deletedAt?.toISOString() ?? null,
    links: answerLinks(video),
  };
}

function answerWarnings({ warnings, file }: VideoRecord): VideoAnswer['warnings'] {
  const said = warnings.map(({ code, message }) => ({ code, message }));
  if (file?.delay == null) return said;
  return [
    ...said,
    { code: 'archive_delayed', message: `The copy into storage waits and is tried again. ${file.delay}` },
  ];
}

export function answerQueue(queue: NonNullable<VideoRecord['queue']>): NonNullable<VideoAnswer['queue']> {
  return {
    position: queue.position,
    starts_at: queue.startsAt?.toISOString() ?? null,
    ends_at: queue.endsAt?.toISOString() ?? null,
  };
}

function answerFile(file: VideoFile | null): VideoAnswer['file'] {
  if (file?.bytes == null || file.sha256 === null) return null;
  const { bytes, seconds, width, height, sha256 } = file;
  return { bytes, seconds, width, height, sha256 };
}

function answerError(error: NonNullable<VideoRecord['error']>): VideoAnswer['error'] {
  const { code, message, retryable, provider_code, provider_request_id } = error;
  return { code, message, retryable, provider_code, provider_request_id };
}

function answerLinks(video: VideoRecord): VideoAnswer['links'] {
  const self = videoPath(video.id);
  const stoppable = ['queued', 'submitting', 'generating'].includes(video.state);
  return {
    self,
    events: `${self}/events`,
    content: storedFile(video) ? `${self}/content` : null,
    cancel: stoppable ? `${self}/cancel` : null,
  };
}
