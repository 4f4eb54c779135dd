/** What happens to slot, flow and video when an attempt certainly bought nothing. */
import { sql, type Transaction } from 'kysely';
import { databaseNow } from '../db/now.ts';
import { release } from '../budget/ledger.ts';
import type { StoredVideoError, Tables } from '../db/tables.ts';
import { errorCatalogue, type ErrorCode } from '../kernel/errors.ts';
import { credits } from '../kernel/money.ts';
import { leaveFlow, refundFlow } from '../scheduling/flows.ts';
import { freeSlot } from '../scheduling/slots.ts';
import { submitStates, type AttemptRow } from './attempt.ts';
import { recordEvent } from './events.ts';
import type { Telling } from './deliveries.ts';
import { moveVideo } from './move.ts';
import type { VideoRow } from './records.ts';

/** Locks the video of an attempt: the first lock of every transaction that moves either (lock order: video, attempt, file, budget, pool, flow). */
export async function lockVideo(trx: Transaction<Tables>, videoId: string): Promise<VideoRow> {
  return trx.selectFrom('videos').selectAll().where('id', '=', videoId).forUpdate().executeTakeFirstOrThrow();
}

type StoredFailure = NonNullable<AttemptRow['failure']>;

/** The part of a failure that an attempt keeps. */
export function storeFailure({ code, httpStatus, message, requestId }: StoredFailure): string {
  return JSON.stringify({ code, httpStatus, message, requestId } satisfies StoredFailure);
}

/**
 * Ends an attempt as refused under the caller's lease; false when the lease was lost.
 * @param failure null for an attempt that was never sent
 */
export async function refuseAttempt(
  trx: Transaction<Tables>,
  attempt: AttemptRow,
  failure: StoredFailure | null,
): Promise<boolean> {
  const result = await trx
    .updateTable('attempts')
    .set({
      state: 'refused',
      failure: failure && storeFailure(failure),
      refused_count: sql`sent_count`,
      ended_at: databaseNow,
      due_at: null,
      look_at: null,
      lease_until: null,
    })
    .where('id', '=', attempt.id)
    .where('lease_token', '=', attempt.lease_token)
    .where('state', 'in', submitStates)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** The video goes back to the queue and keeps its place; unless its user has canceled it meanwhile: then its money is released. */
export async function requeueVideo(
  context: Telling,
  trx: Transaction<Tables>,
  video: VideoRow,
  attempt: AttemptRow,
  reason: string,
): Promise<void> {
  const flow = { familyId: attempt.family_id, workspaceId: attempt.workspace_id };
  const moved = await moveVideo(context, trx, {
    videoId: video.id,
    to: 'queued',
    from: ['submitting'],
    attemptNumber: attempt.number,
    data: { reason },
  });
  if (!moved) await releaseHold(trx, video, attempt.number, 'canceled');
  await freeSlot(trx, attempt.pool_id);
  await refundFlow(trx, flow, attempt.fairness_cost, moved ? video.expected_ms : null);
}

/** The video ends without a file, because its one attempt certainly bought nothing. */
export async function failUnbought(
  context: Telling,
  trx: Transaction<Tables>,
  video: VideoRow,
  attempt: AttemptRow,
  error: StoredVideoError,
): Promise<void> {
  const flow = { familyId: attempt.family_id, workspaceId: attempt.workspace_id };
  await moveVideo(context, trx, {
    videoId: video.id,
    to: 'failed',
    from: ['submitting'],
    attemptNumber: attempt.number,
    set: { error: JSON.stringify(error) },
    data: { error },
  });
  await releaseHold(trx, video, attempt.number, error.code);
  await freeSlot(trx, attempt.pool_id);
  await refundFlow(trx, flow, attempt.fairness_cost, null);
}

/** A queued video ends without ever having had a task. The caller holds its lock. */
export async function endQueued(
  context: Telling,
  trx: Transaction<Tables>,
  video: VideoRow,
  to: 'canceled' | 'failed',
  error: StoredVideoError | null,
): Promise<boolean> {
  const moved = await moveVideo(context, trx, {
    videoId: video.id,
    to,
    from: ['queued'],
    attemptNumber: video.attempt_number,
    set: error ? { error: JSON.stringify(error) } : {},
    data: error ? { error } : {},
  });
  if (!moved) return false;
  await releaseHold(trx, video, null, error?.code ?? 'canceled');
  await leaveFlow(trx, { familyId: video.family_id, workspaceId: video.workspace_id }, video.expected_ms);
  return true;
}

/** Gives back what is still held for a video; nothing if its money is decided. */
export async function releaseHold(
  trx: Transaction<Tables>,
  video: VideoRow,
  attemptNumber: number | null,
  reason: string,
): Promise<void> {
  const held = credits(video.hold_credits);
  if (held === credits(0)) return;
  const data = { job_id: video.id, charged_credits: 0, reason };
  await recordEvent(trx, video.id, 'video.charged', data, { hold_credits: '0', charged_credits: '0' });
  await release(trx, accountOf(video, attemptNumber), held, reason);
}

export function accountOf(video: VideoRow, attemptNumber: number | null) {
  return {
    videoId: video.id,
    workspaceId: video.workspace_id,
    provider: video.provider,
    periodStart: video.budget_period_start,
    attemptNumber,
  };
}

/** The `error` of a video, from a reason of the catalogue and what Kling said with it. */
export function videoError(
  reason: { readonly code: ErrorCode; readonly message: string },
  provider: { readonly code: number | null; readonly requestId: string | null } = { code: null, requestId: null },
): StoredVideoError {
  return {
    code: reason.code,
    message: reason.message,
    retryable: errorCatalogue[reason.code].retryable,
    provider_code: provider.code,
    provider_request_id: provider.requestId,
  };
}
