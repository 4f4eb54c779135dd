import type { VideoStatus } from './types.ts';

const finalStatuses: readonly VideoStatus[] = ['completed', 'failed', 'canceled'];

/** Whether a video in this status never changes its status again. */
export function isFinalStatus(status: VideoStatus): boolean {
  return finalStatuses.includes(status);
}
