/** The one way in which a video changes its state. */
import { type Transaction, type UpdateObject } from 'kysely';
import { databaseNow } from '../db/now.ts';
import type { Tables, VideoState } from '../db/tables.ts';
import type { Telling } from './deliveries.ts';
import { tellEvent } from './events.ts';
import { isFinal, statesBefore } from './video.ts';

export interface Move {
  readonly videoId: string;
  readonly to: VideoState;
  /** Fence: the attempt that the mover knows of. A video may have been queued twice in the meantime (ABA). */
  readonly attemptNumber: number;
  /** Fence: narrower than the state table, where only one of its moves is meant. */
  readonly from?: readonly VideoState[];
  readonly set?: UpdateObject<Tables, 'videos'>;
  /** Public facts for the event: no provider URL, no secret. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/**
 * Moves a video, writes the event and orders its deliveries, in one statement; false, with nothing done, when the fence does not
 * hold.
 */
export async function moveVideo(context: Telling, trx: Transaction<Tables>, move: Move): Promise<boolean> {
  const { videoId, to, attemptNumber } = move;
  return tellEvent(context, trx, {
    videoId,
    type: `video.${to}`,
    to,
    data: { job_id: videoId, status: to, ...move.data },
    set: { ...move.set, state: to, ...(isFinal(to) ? { completed_at: databaseNow } : {}) },
    fence: { states: move.from ?? statesBefore(to), attemptNumber },
  });
}
