/** What a user does to a video after its creation: cancel, delete. */
import { sql, type Transaction } from 'kysely';
import { databaseNow } from '../db/now.ts';
import { inTransaction } from '../db/transaction.ts';
import { AppError, NotFoundError } from '../kernel/errors.ts';
import type { BlobStore } from '../storage/blob-store.ts';
import { listFamiliesOf } from '../scheduling/slots.ts';
import type { VideosContext } from './context.ts';
import { submitStates, type AttemptRow } from './attempt.ts';
import { endQueued, requeueVideo, videoError } from './end-attempt.ts';
import { recordEvent } from './events.ts';
import { moveVideo } from './move.ts';
import { isFinal } from './video.ts';
import type { Tables } from '../db/tables.ts';
import type { VideoRow } from './records.ts';

/**
 * Never sent, or certainly refused so far: free at once. Sent: Kling has no cancel, so the attempt runs on with its slot and hold; if Kling charges, the charge is
 * captured and the file kept for its owner.
 */
export async function cancelVideo(context: VideosContext, id: string, workspaceId: string): Promise<void> {
  const freedPool = await inTransaction(context.database, async ({ trx, afterCommit }) => {
    const video = await lockOwn(trx, id, workspaceId);
    afterCommit(() => context.events.notify());
    if (video.state === 'queued') {
      await endQueued(context, trx, video, 'canceled', null);
      return undefined;
    }
    const unsent = video.state === 'submitting' ? await withdrawUnsent(trx, video) : undefined;
    const data = unsent
      ? {}
      : {
          note: 'Kling cannot cancel a task that it has: if it charges, the charge stands and the file is kept.',
        };
    const fence = { videoId: id, attemptNumber: video.attempt_number };
    const moved = await moveVideo(context, trx, { ...fence, to: 'canceled', from: ['submitting', 'generating'], data });
    if (!moved)
      throw conflict(video, 'canceled', 'Only a video that is queued, submitting or generating can be canceled.');
    if (unsent) await requeueVideo(context, trx, video, unsent, 'canceled');
    return unsent?.pool_id;
  });
  if (freedPool !== undefined) context.requestDispatch(await listFamiliesOf(context.database.kysely, freedPool));
}

/**
 * Takes an attempt back of which Kling certainly has nothing. A worker that holds it at this moment finds its lease gone when it
 * writes its send mark, and does not send.
 */
async function withdrawUnsent(trx: Transaction<Tables>, video: VideoRow): Promise<AttemptRow | undefined> {
  return trx
    .updateTable('attempts')
    .set({
      state: 'refused',
      lease_token: sql`lease_token + 1`,
      lease_until: null,
      due_at: null,
      ended_at: databaseNow,
    })
    .where('video_id', '=', video.id)
    .where('number', '=', video.attempt_number)
    .where('state', 'in', submitStates)
    .whereRef('sent_count', '=', 'refused_count')
    .where('known_to_exist', '=', false)
    .where('look_first', '=', false)
    .returningAll()
    .executeTakeFirst();
}

/** Leaves a tombstone: the video and its ledger stay, the file and its links are gone. */
export async function deleteVideo(
  context: VideosContext,
  blobs: BlobStore,
  id: string,
  workspaceId: string,
): Promise<void> {
  const keys = await inTransaction(context.database, async ({ trx, afterCommit }) => {
    const video = await lockOwn(trx, id, workspaceId);
    if (!isFinal(video.state)) {
      throw conflict(
        video,
        'deleted',
        'Only a final video can be deleted: cancel it first, or wait until it has ended.',
      );
    }
    const files = await trx.selectFrom('files').selectAll().where('video_id', '=', id).execute();
    if (files.some((file) => file.state === 'pending')) {
      throw conflict(video, 'deleted', 'Its paid file is still being copied; delete it when that is done.');
    }
    const open = await trx
      .selectFrom('attempts')
      .select('id')
      .where('video_id', '=', id)
      .where('holds_slot', '=', true)
      .executeTakeFirst();
    if (open) throw conflict(video, 'deleted', 'Kling still works on its task; delete it when that has ended.');
    if (video.deleted_at === null) {
      await trx.updateTable('files').set({ state: 'deleted' }).where('video_id', '=', id).execute();
      await trx.updateTable('videos').set({ deleted_at: databaseNow }).where('id', '=', id).execute();
      await recordEvent(trx, id, 'video.deleted', { job_id: id, status: video.state });
    }
    afterCommit(() => context.events.notify());
    return files.flatMap((file) => [file.storage_key, ...(file.poster_key === null ? [] : [file.poster_key])]);
  });
  for (const key of keys) await blobs.delete(key);
}

/** Queued videos whose `start_before` has passed end without cost. @returns how many */
export async function expireQueued(context: VideosContext): Promise<number> {
  const rows = await context.database.kysely
    .selectFrom('videos')
    .select(['id', 'workspace_id'])
    .where('state', '=', 'queued')
    .where('start_before', 'is not', null)
    .where(sql<boolean>`start_before <= dailies_now()`)
    .limit(500)
    .execute();
  const error = videoError({
    code: 'start_before_passed',
    message: 'No slot became free before `start_before`. Nothing was sent or charged.',
  });
  for (const { id, workspace_id: workspaceId } of rows) {
    await inTransaction(context.database, async ({ trx, afterCommit }) => {
      const video = await lockOwn(trx, id, workspaceId);
      if (video.state === 'queued') await endQueued(context, trx, video, 'failed', error);
      afterCommit(() => context.events.notify());
    });
  }
  return rows.length;
}

async function lockOwn(trx: Transaction<Tables>, id: string, workspaceId: string): Promise<VideoRow> {
  const video = await trx
    .selectFrom('videos')
    .selectAll()
    .where('id', '=', id)
    .where('workspace_id', '=', workspaceId)
    .forUpdate()
    .executeTakeFirst();
  if (!video) throw new NotFoundError('video', id);
  return video;
}

function conflict(video: VideoRow, to: string, fix: string): AppError {
  return new AppError('state_conflict', `The video is ${video.state} and cannot be ${to}. ${fix}`, {
    data: { video_status: video.state },
  });
}
