/** The one way in which a video changes its state. */
import { type Transaction, type UpdateObject } from 'kysely';
import { databaseNow } from '../db/now.ts';
import type { Tables, VideoState } from '../db/tables.ts';
import { createId } from '../kernel/ids.ts';
import { changeVideo } from './events.ts';
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

/** Moves a video and writes the event; false, with nothing done, when the fence does not hold. */
export async function moveVideo(trx: Transaction<Tables>, move: Move): Promise<boolean> {
  const { videoId, to, attemptNumber } = move;
  const changed = await changeVideo(trx, {
    videoId,
    type: `video.${to}`,
    data: { job_id: videoId, status: to, ...move.data },
    set: { ...move.set, state: to, ...(isFinal(to) ? { completed_at: databaseNow } : {}) },
    fence: { states: move.from ?? statesBefore(to), attemptNumber },
  });
  if (!changed) return false;
  const { eventId, workspaceId, webhookUrl } = changed;
  if (isFinal(to) && webhookUrl !== null) await orderDelivery(trx, eventId, videoId, workspaceId, webhookUrl);
  return true;
}

async function orderDelivery(
  trx: Transaction<Tables>,
  eventId: string,
  videoId: string,
  workspaceId: string,
  url: string,
): Promise<void> {
  await trx
    .insertInto('deliveries')
    .values({
      id: createId('delivery'),
      video_id: videoId,
      workspace_id: workspaceId,
      event_id: eventId,
      url,
      state: 'pending',
      due_at: databaseNow,
      created_at: databaseNow,
    })
    .execute();
}
