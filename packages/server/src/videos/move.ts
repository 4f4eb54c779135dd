/** The one way in which a video changes its state. */
import { sql, type Transaction, type UpdateObject } from 'kysely';
import type { Tables, VideoState } from '../db/tables.ts';
import { createId } from '../kernel/ids.ts';
import { appendEvent } from './events.ts';
import { isFinal, statesBefore } from './video.ts';

export interface MovedVideo {
  readonly id: string;
  readonly workspaceId: string;
  readonly familyId: string;
  readonly webhookUrl: string | null;
  readonly eventSeq: number;
}

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

/** Moves a video and writes the event; undefined, with nothing done, when the fence does not hold. */
export async function moveVideo(trx: Transaction<Tables>, move: Move): Promise<MovedVideo | undefined> {
  const from = move.from ?? statesBefore(move.to);
  const row = await trx
    .updateTable('videos')
    .set({
      ...move.set,
      state: move.to,
      event_seq: sql`event_seq + 1`,
      ...(isFinal(move.to) ? { completed_at: sql<Date>`dailies_now()` } : {}),
    })
    .where('id', '=', move.videoId)
    .where('attempt_number', '=', move.attemptNumber)
    .where('state', 'in', from)
    .returning(['id', 'workspace_id', 'family_id', 'webhook_url', 'event_seq'])
    .executeTakeFirst();
  if (!row) return undefined;
  const type = `video.${move.to}`;
  const eventId = await appendEvent(trx, {
    videoId: row.id,
    workspaceId: row.workspace_id,
    seq: row.event_seq,
    type,
    data: { job_id: row.id, status: move.to, ...move.data },
  });
  if (isFinal(move.to) && row.webhook_url !== null)
    await orderDelivery(trx, eventId, row.id, row.workspace_id, row.webhook_url);
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    familyId: row.family_id,
    webhookUrl: row.webhook_url,
    eventSeq: row.event_seq,
  };
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
      due_at: sql<Date>`dailies_now()`,
      created_at: sql<Date>`dailies_now()`,
    })
    .execute();
}
