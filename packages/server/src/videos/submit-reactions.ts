/** What each refusal or doubt of a create does to attempt, video, pool and account (docs/guarantees.md). */
import { sql, type UpdateObject } from 'kysely';
import { databaseNowPlus } from '../db/now.ts';
import type { Tables } from '../db/tables.ts';
import { inTransaction, type TransactionContext } from '../db/transaction.ts';
import { backoffMs } from '../kernel/retry.ts';
import { describeFailure } from '../kling/describe-failure.ts';
import type { KlingApi, ProviderFailure } from '../kling/kling-api.ts';
import { reactionTo } from '../kling/reactions.ts';
import type { HandlerResult } from '../queue/queue.ts';
import { backOffPool, pauseAccount, pausePool, slowAccount } from '../scheduling/limits.ts';
import { listFamiliesOf } from '../scheduling/slots.ts';
import { isCertain, submitStates, type AttemptRow } from './attempt.ts';
import type { VideosContext } from './context.ts';
import { failUnbought, lockVideo, refuseAttempt, requeueVideo, storeFailure, videoError } from './end-attempt.ts';
import { shrinkByForeignUse } from './foreign-use.ts';
import type { VideoRow } from './records.ts';

const doubtBackoff = { baseMs: 1_000, capMs: 30_000 };
const unreachableBackoff = { baseMs: 1_000, capMs: 30_000 };

/** Records a create that was not accepted. `attempt` is the row as the send mark left it. */
export async function react(
  context: VideosContext,
  kling: KlingApi,
  attempt: AttemptRow,
  failure: ProviderFailure,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const fields = {
    attemptId: attempt.id,
    code: failure.code,
    httpStatus: failure.httpStatus,
    reaction: failure.reaction,
  };
  context.log(failure.reaction === 'doubt' ? 'warn' : 'info', 'Kling did not accept a create', fields);
  switch (failure.reaction) {
    case 'doubt':
      return failure.neverSent ? unreachable(context, attempt, failure) : lookSoon(context, attempt, {}, failure);
    case 'already_exists':
      return lookSoon(context, attempt, { known_to_exist: true }, failure);
    case 'slow_account': {
      const waitMs = await slowAccount(
        context.database.kysely,
        attempt.account_id,
        failure.retryAfterMs,
        context.random(),
      );
      return wait(context, attempt, waitMs, failure.message, { refusedOne: true });
    }
    default:
      return refused(context, kling, attempt, failure, signal);
  }
}

/** Nothing left this machine, so this POST counts as refused; the slot is kept, because the next try will be soon. */
function unreachable(context: VideosContext, attempt: AttemptRow, failure: ProviderFailure): Promise<HandlerResult> {
  const afterMs = backoffMs(unreachableBackoff, Math.min(attempt.sent_count - 1, 6), context.random());
  return wait(context, attempt, afterMs, failure.message, { refusedOne: true });
}

function lookSoon(
  context: VideosContext,
  attempt: AttemptRow,
  set: UpdateObject<Tables, 'attempts'>,
  failure: ProviderFailure,
): Promise<HandlerResult> {
  const afterMs = backoffMs(doubtBackoff, attempt.sent_count - 1, context.random());
  return wait(context, attempt, afterMs, failure.message, { doubtful: true, set });
}

/** Certainly not created by this POST. If an earlier one is in doubt, that is looked up first and nothing is released. */
async function refused(
  context: VideosContext,
  kling: KlingApi,
  attempt: AttemptRow,
  failure: ProviderFailure,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const certain = isCertain({ sent_count: attempt.sent_count, refused_count: attempt.refused_count + 1 });
  if (certain) return endAsRefused(context, kling, attempt, failure, signal);
  const set = { failure: storeFailure(failure) };
  return wait(context, attempt, doubtBackoff.baseMs, failure.message, { doubtful: true, refusedOne: true, set });
}

/** A repeat was refused, and the look-up that follows every repeat has found that the doubtful create bought nothing either. */
export function refuseAfterLook(
  context: VideosContext,
  kling: KlingApi,
  attempt: AttemptRow & { readonly failure: NonNullable<AttemptRow['failure']> },
  signal: AbortSignal,
): Promise<HandlerResult> {
  const { failure } = attempt;
  const rest = { retryAfterMs: null, neverSent: false, reaction: reactionTo(failure) };
  return endAsRefused(context, kling, attempt, { ...failure, ...rest }, signal);
}

async function endAsRefused(
  context: VideosContext,
  kling: KlingApi,
  attempt: AttemptRow,
  failure: ProviderFailure,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const pause = {
    reason: failure.code === null ? `http_${failure.httpStatus}` : String(failure.code),
    detail: failure.message,
  };
  await endRefused(context, attempt, failure, async ({ trx }, video) => {
    if (failure.reaction === 'fail_video') {
      await failUnbought(context, trx, video, attempt, videoError(describeFailure(failure), failure));
      return;
    }
    // Lock order: account before pool.
    if (failure.reaction === 'pause_account') await pauseAccount(trx, attempt.account_id, pause);
    await requeueVideo(context, trx, video, attempt, failure.reaction);
    if (failure.reaction === 'pause_pool') await pausePool(trx, attempt.pool_id, pause);
    if (failure.reaction === 'back_off_pool') await backOffPool(trx, attempt.pool_id, context.random());
  });
  if (failure.reaction === 'pause_account' || failure.reaction === 'pause_pool') {
    const fields = {
      accountId: attempt.account_id,
      poolId: attempt.pool_id,
      reason: pause.reason,
      detail: pause.detail,
    };
    context.log('error', 'Paused: Kling refuses until an operator mends this', fields);
  }
  if (failure.reaction === 'back_off_pool') await shrinkByForeignUse(context, kling, attempt, signal);
  return { result: 'done' };
}

/** Gives an attempt back that was never sent, or of which every POST was certainly refused. */
export async function handBack(context: VideosContext, attempt: AttemptRow, reason: string): Promise<HandlerResult> {
  await endRefused(context, attempt, null, ({ trx }, video) => requeueVideo(context, trx, video, attempt, reason));
  return { result: 'done' };
}

async function endRefused(
  context: VideosContext,
  attempt: AttemptRow,
  failure: ProviderFailure | null,
  then: (transaction: TransactionContext, video: VideoRow) => Promise<void>,
): Promise<void> {
  await inTransaction(context.database, async (transaction) => {
    const video = await lockVideo(transaction.trx, attempt.video_id);
    if (!(await refuseAttempt(transaction.trx, attempt, failure))) return;
    await then(transaction, video);
    transaction.afterCommit(() => context.events.notify());
  });
  context.requestDispatch(await listFamiliesOf(context.database.kysely, attempt.pool_id));
}

/** Lets go of the lease; the sweeper publishes the attempt again when it is due. Slot and hold stay. */
export async function wait(
  context: VideosContext,
  attempt: AttemptRow,
  afterMs: number,
  reason: string,
  change: {
    readonly doubtful?: boolean;
    readonly refusedOne?: boolean;
    readonly set?: UpdateObject<Tables, 'attempts'>;
  } = {},
): Promise<HandlerResult> {
  await context.database.kysely
    .updateTable('attempts')
    .set({
      ...change.set,
      ...(change.doubtful ? { state: 'doubtful' } : {}),
      ...(change.refusedOne ? { refused_count: sql`refused_count + 1` } : {}),
      looks: sql`looks + 1`,
      lease_until: null,
      due_at: databaseNowPlus(Math.max(0, Math.round(afterMs))),
      published_at: null,
      publishes: 0,
    })
    .where('id', '=', attempt.id)
    .where('lease_token', '=', attempt.lease_token)
    .where('state', 'in', submitStates)
    .execute();
  return { result: 'retry', afterMs, reason };
}
