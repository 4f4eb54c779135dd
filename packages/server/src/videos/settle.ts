/**
 * The one place where an answer of Kling about a task moves a video, whoever asked: submit's look-up, the poller, the audit.
 * Idempotent: a second settle of the same answer finds the attempt ended and does nothing.
 */
import { sql, type Transaction } from 'kysely';
import { databaseNow } from '../db/now.ts';
import { capture } from '../budget/ledger.ts';
import type { Tables } from '../db/tables.ts';
import { inTransaction } from '../db/transaction.ts';
import { createId } from '../kernel/ids.ts';
import { credits, creditsToNumber, creditsToString, noCredits } from '../kernel/money.ts';
import type { ReportedVideo, TaskReport } from '../kling/kling-api.ts';
import { describeTaskFailure } from '../kling/describe-failure.ts';
import { finishInFlow } from '../scheduling/flows.ts';
import { freeSlot, listFamiliesOf } from '../scheduling/slots.ts';
import type { AttemptRow } from './attempt.ts';
import type { VideosContext } from './context.ts';
import { accountOf, lockVideo, releaseHold, videoError } from './end-attempt.ts';
import { recordEvent } from './events.ts';
import { moveVideo } from './move.ts';
import { publishWith } from './publish.ts';
import { storedRequest, type VideoRow } from './records.ts';

/**
 * - `ended`: the task is over and everything follows from it
 * - `running`: Kling works on it
 * - `stale`: the attempt was settled before
 * - `strange`: an unknown word, or a success without a usable file: nothing was moved, look again
 */
export type SettleResult = 'ended' | 'running' | 'stale' | 'strange';

export async function settle(context: VideosContext, attempt: AttemptRow, report: TaskReport): Promise<SettleResult> {
  switch (report.status) {
    case 'submitted':
    case 'processing':
      return 'running';
    case 'unknown':
      context.log('error', 'Kling answered an unknown status word', {
        attemptId: attempt.id,
        statusWord: report.statusWord,
      });
      return 'strange';
    case 'succeeded':
      if (report.video) return end(context, attempt, report, report.video);
      context.log('error', 'Kling reported success without a file', { attemptId: attempt.id });
      return 'strange';
    case 'failed':
      return end(context, attempt, report, null);
  }
}

/** @param file null for a failed task, or for a success whose file never became usable */
export async function end(
  context: VideosContext,
  attempt: AttemptRow,
  report: TaskReport,
  file: ReportedVideo | null,
): Promise<SettleResult> {
  const ended = await inTransaction(context.database, async (transaction) => {
    const { trx, afterCommit } = transaction;
    const video = await lockVideo(trx, attempt.video_id);
    const row = await markEnded(trx, attempt.id, report);
    if (!row) return undefined;
    await decideMoney(trx, video, row, report);
    // The owner of a deleted video does not want its file any more.
    const fileId = file && video.deleted_at === null ? await addFile(trx, video, row, file) : undefined;
    await moveOn(context, trx, video, row, report, fileId);
    if (!row.wasAbandoned) {
      await freeSlot(trx, row.pool_id);
      const flow = { familyId: row.family_id, workspaceId: row.workspace_id };
      await finishInFlow(trx, flow, row.fairness_cost, row.onSlotMs);
    }
    if (fileId !== undefined) {
      await publishWith(context, transaction, [{ kind: 'archive', id: fileId, workspaceId: video.workspace_id }]);
    }
    afterCommit(() => context.events.notify());
    return { video, onSlotMs: row.onSlotMs, poolId: row.pool_id, fileId };
  });
  if (!ended) return 'stale';
  const { id: attemptId, video_id: videoId, task_id: taskId } = attempt;
  context.log('info', 'A task ended', {
    attemptId,
    videoId,
    taskId,
    status: report.status,
    fileId: ended.fileId ?? null,
  });
  context.observer?.ended(context.callbackUrl(attempt.id) !== null);
  context.requestDispatch(await listFamiliesOf(context.database.kysely, ended.poolId));
  if (file)
    await context.durations.observe(storedRequest(ended.video), ended.video.provider, tookMs(report, ended.onSlotMs));
  return 'ended';
}

/** By Kling's own clock where it says so: the time until we noticed would teach us to look late. */
function tookMs(report: TaskReport, onSlotMs: number): number {
  const { createdAtMs, updatedAtMs } = report;
  const told = createdAtMs === null || updatedAtMs === null ? 0 : updatedAtMs - createdAtMs;
  return told > 0 ? Math.min(told, onSlotMs) : onSlotMs;
}

type EndedAttempt = AttemptRow & { readonly onSlotMs: number; readonly wasAbandoned: boolean };

async function markEnded(trx: Transaction<Tables>, id: string, report: TaskReport): Promise<EndedAttempt | undefined> {
  const { statusWord, deductedUnits, status, message } = report;
  const failure = status === 'failed' ? { code: null, httpStatus: 200, message, requestId: null } : null;
  return trx
    .with('before', (cte) => cte.selectFrom('attempts').select(['id', 'state']).where('id', '=', id).forUpdate())
    .updateTable('attempts')
    .from('before')
    .set({
      state: 'ended',
      provider_status: statusWord,
      deducted_credits: deductedUnits,
      failure: failure && JSON.stringify(failure),
      ended_at: databaseNow,
      look_at: null,
      due_at: null,
    })
    .whereRef('attempts.id', '=', 'before.id')
    .where('before.state', 'in', ['accepted', 'abandoned'])
    .returningAll('attempts')
    .returning(sql<boolean>`before.state = 'abandoned'`.as('wasAbandoned'))
    .returning(
      sql<number>`extract(epoch from dailies_now() - coalesce(sent_at, created_at))::float8 * 1000`.as('onSlotMs'),
    )
    .executeTakeFirst();
}

/** Capture what Kling says it deducted, else the hold; a failed task that cost nothing gives its hold back. */
async function decideMoney(
  trx: Transaction<Tables>,
  video: VideoRow,
  attempt: EndedAttempt,
  report: TaskReport,
): Promise<void> {
  const held = credits(video.hold_credits);
  const echoed = report.deductedUnits === null ? null : credits(report.deductedUnits);
  const amount = echoed ?? (report.status === 'failed' ? noCredits : credits(video.estimated_credits));
  if (amount === noCredits && report.status === 'failed') {
    await releaseHold(trx, video, attempt.number, 'generation_failed');
    return;
  }
  const late = attempt.wasAbandoned;
  const canceled = video.state === 'canceled';
  const success = late ? 'late_success' : canceled ? 'charged_after_cancel' : 'generated';
  const reason = report.status === 'failed' ? 'charged_failure' : success;
  const over = amount > credits(video.estimated_credits) ? { over_estimate: true } : {};
  const data = { job_id: video.id, charged_credits: creditsToNumber(amount), reason, ...over };
  const set = { hold_credits: '0', charged_credits: creditsToString(amount) };
  await recordEvent(trx, video.id, 'video.charged', data, set);
  await capture(trx, accountOf(video, attempt.number), { held, amount, assumed: echoed === null, reason });
}

async function addFile(
  trx: Transaction<Tables>,
  video: VideoRow,
  attempt: AttemptRow,
  file: ReportedVideo,
): Promise<string> {
  const id = createId('file');
  await trx
    .insertInto('files')
    .values({
      id,
      video_id: video.id,
      attempt_id: attempt.id,
      workspace_id: video.workspace_id,
      state: 'pending',
      source_url: file.url,
      source_expires_at: file.expiresAtMs === null ? null : new Date(file.expiresAtMs),
      storage_key: `${video.workspace_id}/${video.id}/${attempt.number}.mp4`,
      has_audio: null,
      due_at: databaseNow,
      published_at: databaseNow,
      created_at: databaseNow,
      ...unknownFileFacts,
    })
    .execute();
  return id;
}

const unknownFileFacts = {
  bytes: null,
  seconds: null,
  width: null,
  height: null,
  sha256: null,
  etag: null,
  poster_key: null,
  last_error: null,
} as const;

async function moveOn(
  context: VideosContext,
  trx: Transaction<Tables>,
  video: VideoRow,
  attempt: EndedAttempt,
  report: TaskReport,
  fileId: string | undefined,
): Promise<void> {
  const fence = { videoId: video.id, attemptNumber: attempt.number, from: ['submitting', 'generating'] as const };
  if (fileId !== undefined) {
    await moveVideo(context, trx, { ...fence, to: 'archiving' });
    return;
  }
  const reason =
    report.status === 'failed'
      ? describeTaskFailure(report.message)
      : { code: 'file_unusable' as const, message: 'Kling reported success without a usable file.' };
  const error = videoError(reason, { code: null, requestId: attempt.provider_request_id });
  await moveVideo(context, trx, { ...fence, to: 'failed', set: { error: JSON.stringify(error) }, data: { error } });
}
