import type { Video } from '@dailies/sdk';
import { queueWords, span } from './words.ts';

const wheel = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const doing = {
  queued: 'queued',
  submitting: 'being sent to Kling',
  generating: 'generating',
  archiving: 'copying to our storage',
} as const;

/** What is going on, in one line: `queued, position 3, starts in about 2 min, ready in about 4 min`. */
export function progressText(video: Pick<Video, 'status' | 'queue'>, nowMs: number): string {
  const status = video.status in doing ? doing[video.status as keyof typeof doing] : video.status; // just checked
  const rest = video.queue ? queueWords(video.queue, nowMs) : '';
  return rest ? `${status}, ${rest}` : status;
}

/** The same with a turning wheel and the time since the video was accepted. */
export function liveText(video: Pick<Video, 'status' | 'queue' | 'created_at'>, nowMs: number): string {
  const turn = wheel[Math.floor(nowMs / 100) % wheel.length] ?? '';
  return `${turn} ${progressText(video, nowMs)}  (${span(nowMs - Date.parse(video.created_at))})`;
}
