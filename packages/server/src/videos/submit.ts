/**
 * Buying one task, once (docs/guarantees.md). The handler claims the attempt, looks up what may already exist, commits the send
 * mark immediately before the bytes leave, POSTs once, and records what Kling's answer means. Whatever dies in between, the next
 * claim finds in the row what may have happened.
 */
import { sql } from 'kysely';
import { databaseNow } from '../db/now.ts';
import { backoffMs } from '../kernel/retry.ts';
import { AccountNotConfiguredError } from '../kling/account-not-configured-error.ts';
import type { CreateAnswer, KlingApi, TaskReference, TaskReport } from '../kling/kling-api.ts';
import type { HandlerResult } from '../queue/queue.ts';
import { claimAttempt, isCertain, type AttemptRow, type ClaimedForSubmit } from './attempt.ts';
import type { VideosContext } from './context.ts';
import { adopt } from './adopt.ts';
import { handBack, react, refuseAfterLook, wait } from './submit-reactions.ts';

/** Left of the lease when a POST is aborted, so that a late answer is still recorded under it. */
const leaseMarginMs = 2_000;
const lookBackoff = { baseMs: 1_000, capMs: 30_000 };

export interface SubmitDeps {
  readonly kling: KlingApi;
  readonly monotonicMs: () => number;
}

export async function submit(
  context: VideosContext,
  deps: SubmitDeps,
  attemptId: string,
  signal: AbortSignal,
): Promise<HandlerResult> {
  const claimedAt = deps.monotonicMs();
  const attempt = await claimAttempt(context.database.kysely, attemptId, context.options.leaseMs);
  if (!attempt) return { result: 'done' };
  try {
    return await submitClaimed(context, deps, attempt, { signal, claimedAt });
  } catch (error) {
    if (error instanceof AccountNotConfiguredError) return awaitAccount(context, attempt, error);
    await letGo(context, attempt);
    throw error;
  }
}

/** A crash ends the lease of whoever crashed, and of nobody else; should this fail, the lease ends in its time. */
async function letGo(context: VideosContext, attempt: AttemptRow): Promise<void> {
  await context.database.kysely
    .updateTable('attempts')
    .set({ lease_until: null })
    .where('id', '=', attempt.id)
    .where('lease_token', '=', attempt.lease_token)
    .execute()
    .catch((error: unknown) => context.log('warn', 'Could not end a lease', { attemptId: attempt.id, error }));
}

async function submitClaimed(
  context: VideosContext,
  deps: SubmitDeps,
  attempt: ClaimedForSubmit,
  run: { readonly signal: AbortSignal; readonly claimedAt: number },
): Promise<HandlerResult> {
  if (!isCertain(attempt) || attempt.known_to_exist || attempt.look_first) {
    const looked = await lookUp(context, deps, attempt, run.signal);
    if (looked) return looked;
    if (attempt.failure)
      return refuseAfterLook(context, deps.kling, { ...attempt, failure: attempt.failure }, run.signal);
  }
  const blocked = findBlock(attempt);
  if (blocked === 'canceled') return handBack(context, attempt, 'it was canceled before it was sent');
  if (blocked === 'paused') return handBack(context, attempt, 'the account or pool was paused before it was sent');
  if (blocked !== undefined) return wait(context, attempt, blocked, 'rate limited');
  return send(context, deps, attempt, run);
}

/** What stands in the way of sending now: its user, a pause that came after the dispatch, or the account's common wait in ms. */
function findBlock(attempt: ClaimedForSubmit): 'canceled' | 'paused' | number | undefined {
  if (attempt.videoState === 'canceled') return 'canceled';
  if (attempt.paused && isCertain(attempt)) return 'paused';
  return attempt.waitMs !== null && attempt.waitMs > 0 ? Math.ceil(attempt.waitMs) : undefined;
}

/** Undefined when it is certain that a POST may follow. */
async function lookUp(
  context: VideosContext,
  deps: SubmitDeps,
  attempt: AttemptRow,
  signal: AbortSignal,
): Promise<HandlerResult | undefined> {
  const timeoutMs = Math.min(context.options.readTimeoutMs, context.options.leaseMs / 2);
  const [answer] = await deps.kling.getTasks([referenceTo(attempt)], { signal, timeoutMs });
  const againMs = backoffMs(lookBackoff, attempt.looks, context.random());
  if (answer?.kind === 'found') return adopted(context, attempt, answer.report);
  if (answer?.kind !== 'not_found') return doubt(context, attempt, againMs);
  if (attempt.known_to_exist) return doubt(context, attempt, againMs);
  // A refused repeat was sent after the window of the doubtful one had passed.
  if (isCertain(attempt) || attempt.failure) return undefined;
  const { remaining_ms: remainingMs } = await context.database.kysely
    .selectFrom('attempts')
    .select(
      sql<number>`(extract(epoch from sent_at - dailies_now()) * 1000)::float8 + ${believedAfterMs(context)}`.as(
        'remaining_ms',
      ),
    )
    .where('id', '=', attempt.id)
    .executeTakeFirstOrThrow();
  if (remainingMs > 0) return doubt(context, attempt, Math.min(Math.ceil(remainingMs), againMs));
  if (context.options.afterDoubt === 'hold') {
    context.log('error', 'A create was lost and is held for a person to decide', { attemptId: attempt.id });
    return doubt(context, attempt, 60_000);
  }
  return undefined;
}

/** How long after a send mark a "not found" means that nothing was created. */
function believedAfterMs(context: VideosContext): number {
  return context.options.postTimeoutMs + context.options.settleDelayMs;
}

async function send(
  context: VideosContext,
  deps: SubmitDeps,
  attempt: AttemptRow,
  run: { readonly signal: AbortSignal; readonly claimedAt: number },
): Promise<HandlerResult> {
  const marked = await context.database.kysely
    .updateTable('attempts')
    .set({ state: 'sent', sent_count: sql`sent_count + 1`, sent_at: databaseNow, failure: null })
    .where('id', '=', attempt.id)
    .where('lease_token', '=', attempt.lease_token)
    .where('state', 'in', ['intended', 'sent', 'doubtful'])
    .where(sql<boolean>`lease_until > dailies_now()`)
    .returningAll()
    .executeTakeFirst();
  if (!marked) return { result: 'done' };
  if (marked.sent_count === 1 && marked.sent_at)
    context.observer?.sent((marked.sent_at.getTime() - marked.created_at.getTime()) / 1_000);
  // On this process's own clock: a worker that was asleep must not POST after another has taken over.
  const leftMs = context.options.leaseMs - leaseMargin(context) - (deps.monotonicMs() - run.claimedAt);
  if (leftMs <= 0) return wait(context, marked, 0, 'the lease was nearly over', { refusedOne: true });
  const call = {
    accountId: marked.account_id,
    host: marked.host,
    generation: marked.generation,
    path: marked.path,
    body: marked.body,
  };
  const timeoutMs = Math.min(context.options.postTimeoutMs, leftMs);
  let answer: CreateAnswer;
  try {
    answer = await deps.kling.createTask(call, { signal: run.signal, timeoutMs });
  } catch (error) {
    if (!(error instanceof AccountNotConfiguredError)) throw error;
    return awaitAccount(context, marked, error, { refusedOne: true });
  }
  if (answer.kind === 'failed') return react(context, deps.kling, marked, answer.failure, run.signal);
  await adopt(context, marked, { taskId: answer.taskId, requestId: answer.requestId, isNew: true });
  return { result: 'done' };
}

/** Another worker may hold the account, or an operator configures it again. */
function awaitAccount(
  context: VideosContext,
  attempt: AttemptRow,
  error: AccountNotConfiguredError,
  change: { readonly refusedOne?: boolean } = {},
): Promise<HandlerResult> {
  const fields = { attemptId: attempt.id, accountId: error.accountId };
  context.log('error', 'An attempt waits for an account that is not configured here', fields);
  return wait(context, attempt, 30_000, error.message, change);
}

function leaseMargin(context: VideosContext): number {
  return Math.min(leaseMarginMs, context.options.leaseMs / 4);
}

async function adopted(context: VideosContext, attempt: AttemptRow, report: TaskReport): Promise<HandlerResult> {
  await adopt(context, attempt, { taskId: report.taskId, requestId: null, isNew: false });
  return { result: 'done' };
}

function doubt(context: VideosContext, attempt: AttemptRow, afterMs: number): Promise<HandlerResult> {
  return wait(context, attempt, afterMs, 'it is not known yet whether Kling has the task', {
    doubtful: !isCertain(attempt),
  });
}

export function referenceTo(attempt: AttemptRow): TaskReference {
  return {
    accountId: attempt.account_id,
    host: attempt.host,
    generation: attempt.generation,
    path: attempt.path,
    externalTaskId: attempt.external_task_id,
    taskId: attempt.task_id,
  };
}
