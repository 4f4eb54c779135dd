/** Kling has the task: from here on it is looked at until it ends. */
import { sql } from 'kysely';
import { databaseNow } from '../db/now.ts';
import { inTransaction } from '../db/transaction.ts';
import { clearLimits } from '../scheduling/limits.ts';
import { submitStates, type AttemptRow } from './attempt.ts';
import type { VideosContext } from './context.ts';
import { lockVideo } from './end-attempt.ts';
import { firstLookMs } from './look-times.ts';
import { moveVideo } from './move.ts';
import { storedRequest } from './records.ts';

/**
 * Records Kling's task id under the caller's lease. A hint that came before it is honoured at once.
 * @param task `isNew`: Kling has just accepted the create, so whatever was paused works again; a look-up says nothing about that
 */
export async function adopt(
  context: VideosContext,
  attempt: AttemptRow,
  task: { readonly taskId: string; readonly requestId: string | null; readonly isNew: boolean },
): Promise<void> {
  const asked = await context.database.kysely
    .selectFrom('videos')
    .select('request')
    .where('id', '=', attempt.video_id)
    .executeTakeFirstOrThrow();
  const lookMs = firstLookMs(context, await context.expectedOf(storedRequest(asked)));
  await inTransaction(context.database, async ({ trx, afterCommit }) => {
    const video = await lockVideo(trx, attempt.video_id);
    const row = await trx
      .updateTable('attempts')
      .set({
        state: 'accepted',
        task_id: task.taskId,
        provider_request_id: task.requestId,
        accepted_at: databaseNow,
        due_at: null,
        lease_until: null,
        looks: 0,
        look_at: sql<Date>`case when hinted_at is not null then dailies_now()
          else coalesce(sent_at, dailies_now()) + ${lookMs} * interval '1 millisecond' end`,
      })
      .where('id', '=', attempt.id)
      .where('lease_token', '=', attempt.lease_token)
      .where('state', 'in', submitStates)
      .returning('id')
      .executeTakeFirst();
    if (!row) return;
    await moveVideo(context, trx, {
      videoId: video.id,
      to: 'generating',
      from: ['submitting'],
      attemptNumber: attempt.number,
    });
    if (task.isNew) await clearLimits(trx, { accountId: attempt.account_id, poolId: attempt.pool_id });
    afterCommit(() => {
      const { id: attemptId, external_task_id: externalTaskId } = attempt;
      const fields = {
        attemptId,
        videoId: video.id,
        externalTaskId,
        taskId: task.taskId,
        providerRequestId: task.requestId,
      };
      context.log('info', 'Kling has the task', fields);
      context.events.notify();
      context.wakePoller();
    });
  });
}
