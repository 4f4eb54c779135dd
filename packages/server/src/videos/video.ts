import type { VideoState } from '../db/tables.ts';

/** The one list of states and legal moves (docs/architecture.md). A move to anything not named here is a bug. */
export const videoMoves = {
  /** `submitting -> queued` is a create that Kling certainly refused for a reason outside the video. */
  queued: ['submitting', 'canceled', 'failed'],
  submitting: ['queued', 'generating', 'archiving', 'failed', 'canceled'],
  generating: ['archiving', 'failed', 'canceled'],
  archiving: ['completed', 'failed'],
  completed: [],
  failed: [],
  canceled: [],
} as const satisfies Record<VideoState, readonly VideoState[]>;

export const videoStates = Object.keys(videoMoves) as readonly VideoState[]; // the keys of a closed table

/** A final state never changes: a late success only adds a charge and a file to it. */
export function isFinal(state: VideoState): boolean {
  return videoMoves[state].length === 0;
}

export function canMove(from: VideoState, to: VideoState): boolean {
  return (videoMoves[from] as readonly VideoState[]).includes(to); // widened so that any state can be asked for
}

/** The states from which a video may move to `to`; the fence of every move's statement. */
export function statesBefore(to: VideoState): VideoState[] {
  return videoStates.filter((from) => canMove(from, to));
}
