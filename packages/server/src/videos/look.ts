/**
 * Looking at running tasks: hints and polls end here, in batches per account (docs/guarantees.md). A callback only
 * brings the look forward; only what Kling answers to our own question is settled (invariant 5).
 */
import { sql } from 'kysely';
import { databaseNow, databaseNowPlus } from '../db/now.ts';
import type { KlingApi, LookAnswer } from '../kling/kling-api.ts';
import { inTransaction } from '../db/transaction.ts';
import { finishInFlow } from '../scheduling/flows.ts';
import { freeSlot, listFamiliesOf } from '../scheduling/slots.ts';
import type { AttemptRow } from './attempt.ts';
import type { VideosContext } from './context.ts';
import { lockVideo, releaseHold, videoError } from './end-attempt.ts';
import { nextLookMs } from './look-times.ts';
import { moveVideo } from './move.ts';
import { publishNow } from './publish.ts';
import { storedRequest } from './records.ts';
import { end, settle } from './settle.ts';
import { referenceTo } from './submit.ts';

/** Looks that one pass claims for an account. */
const claimedAtOnce = 100;
const strangeBackoffCapMs = 5 * 60_000;
const abandonedLookMs = 60 * 60_000;
/** Kling keeps files for 30 days; after that nothing can be learned. */
const forgottenAfterMs = 30 * 24 * 60 * 60_000;

/** A running task is reported as late after the longer of both. */
const lateAfterMs = 30 * 60_000;
const lateFactor = 10;

type ClaimedAttempt = AttemptRow & { readonly age_ms: number };

/** Accounts with a look that is due. */
export async function listDueAccounts(context: VideosContext): Promise<string[]> {
  const rows = await context.database.kysely
    .selectFrom('attempts')
    .select('account_id')
    .distinct()
    .where('look_at', 'is not', null)
    .where(sql<boolean>`look_at <= dailies_now()`)
    .where(sql<boolean>`(look_lease_until is null or look_lease_until <= dailies_now())`)
    .execute();
  return rows.map((row) => row.account_id);
}

/** Milliseconds until the next look is due; null when there is none. */
export async function nextLookInMs(context: VideosContext): Promise<number | null> {
  const row = await context.database.kysely
    .selectFrom('attempts')
    .select(sql<number | null>`(extract(epoch from min(look_at) - dailies_now()) * 1000)::float8`.as('wait_ms'))
    .where('look_at', 'is not', null)
    .where(sql<boolean>`(look_lease_until is null or look_lease_until <= dailies_now())`)
    .executeTakeFirst();
  return row?.wait_ms ?? null;
}

/** Asks Kling for everything that is due on one account and settles what it answers. @returns how many it looked at */
export async function lookAtAccount(
  context: VideosContext,
  kling: KlingApi,
  accountId: string,
  signal: AbortSignal,
): Promise<number> {
  const attempts = await claimLooks(context, accountId);
  if (attempts.length === 0) return 0;
  let answers: readonly LookAnswer[];
  try {
    const timeoutMs = Math.min(context.options.readTimeoutMs, context.options.leaseMs / 2);
    answers = await kling.getTasks(attempts.map(referenceTo), { signal, timeoutMs });
  } catch (error) {
    context.log('error', 'Could not look at tasks', { accountId, error });
    answers = [];
  }
  for (const [index, attempt] of attempts.entries()) {
    try {
      await take(context, attempt, answers[index]);
    } catch (error) {
      // The others were asked for too, and this one would be the first of every batch.
      context.log('error', 'An answer could not be recorded', { attemptId: attempt.id, error });
      await lookAgain(context, attempt, strangeMs(context, attempt), null);
    }
  }
  return attempts.length;
}

async function claimLooks(context: VideosContext, accountId: string): Promise<ClaimedAttempt[]> {
  const { leaseMs, pollFloorMs } = context.options;
  const { kysely } = context.database;
  return kysely
    .updateTable('attempts')
    .set({
      look_token: sql`look_token + 1`,
      // Answered by this look; one that comes from now on is not.
      hinted_at: null,
      look_lease_until: databaseNowPlus(leaseMs),
    })
    .where('id', 'in', (query) =>
      query
        .selectFrom('attempts')
        .select('id')
        .where('account_id', '=', accountId)
        .where(sql<boolean>`look_at <= dailies_now() + ${pollFloorMs / 2} * interval '1 millisecond'`)
        .where(sql<boolean>`(look_lease_until is null or look_lease_until <= dailies_now())`)
        .orderBy('look_at')
        .limit(claimedAtOnce)
        .forUpdate()
        .skipLocked(),
    )
    .returningAll()
    .returning(
      sql<number>`(extract(epoch from dailies_now() - coalesce(sent_at, created_at)) * 1000)::float8`.as('age_ms'),
    )
    .execute();
}

async function take(context: VideosContext, attempt: ClaimedAttempt, answer: LookAnswer | undefined): Promise<void> {
  if (answer?.kind !== 'found') {
    const why = answer?.kind === 'unknown' ? answer.failure.message : (answer?.kind ?? 'no answer');
    context.log('warn', 'A running task could not be seen', { attemptId: attempt.id, why });
    if (isOverdue(context, attempt)) return abandon(context, attempt);
    return lookAgain(context, attempt, strangeMs(context, attempt), null);
  }
  const { report } = answer;
  const result = await settle(context, attempt, report);
  if (result === 'ended' || result === 'stale') return;
  const hopeless = isOverdue(context, attempt) || attempt.age_ms > forgottenAfterMs;
  if (result === 'strange' && report.status === 'succeeded' && hopeless) {
    await end(context, attempt, report, null);
    return;
  }
  if (attempt.state === 'abandoned') return lookAgain(context, attempt, abandonedLookMs, report.statusWord);
  if (isOverdue(context, attempt)) return abandon(context, attempt);
  if (result === 'strange') return lookAgain(context, attempt, strangeMs(context, attempt), report.statusWord);
  const asked = await context.database.kysely
    .selectFrom('videos')
    .select('request')
    .where('id', '=', attempt.video_id)
    .executeTakeFirstOrThrow();
  const expected = await context.expectedOf(storedRequest(asked));
  if (attempt.age_ms > Math.max(lateAfterMs, lateFactor * expected.p99Ms)) {
    context.log('warn', 'A task takes far longer than usual', {
      attemptId: attempt.id,
      ageMs: Math.round(attempt.age_ms),
    });
  }
  await lookAgain(context, attempt, nextLookMs(context, expected, attempt.age_ms), report.statusWord);
}

function isOverdue(context: VideosContext, attempt: ClaimedAttempt): boolean {
  return attempt.state === 'accepted' && attempt.age_ms > context.options.abandonAfterMs;
}

function strangeMs(context: VideosContext, attempt: AttemptRow): number {
  if (attempt.state === 'abandoned') return abandonedLookMs;
  return Math.min(strangeBackoffCapMs, Math.max(context.options.pollFloorMs, 1_000) * 2 ** Math.min(attempt.looks, 10));
}

/** A hint that came while the look was under way is not lost: it is followed by a look of its own. */
async function lookAgain(
  context: VideosContext,
  attempt: ClaimedAttempt,
  afterMs: number,
  statusWord: string | null,
): Promise<void> {
  const forgotten = attempt.age_ms > forgottenAfterMs;
  await context.database.kysely
    .updateTable('attempts')
    .set({
      looks: sql`looks + 1`,
      look_lease_until: null,
      ...(statusWord === null ? {} : { provider_status: statusWord }),
      look_at: forgotten
        ? null
        : sql<Date>`case when hinted_at is not null then dailies_now()
            else dailies_now() + ${Math.round(afterMs)} * interval '1 millisecond' end`,
    })
    .where('id', '=', attempt.id)
    .where('look_token', '=', attempt.look_token)
    .where('state', 'in', ['accepted', 'abandoned'])
    .execute();
}

/** Gives a task up that Kling never ended: slot and money are free again; it is looked at for as long as Kling keeps files. */
async function abandon(context: VideosContext, attempt: ClaimedAttempt): Promise<void> {
  const error = videoError({
    code: 'provider_lost',
    message: 'Kling accepted the task and never ended it. The hold was released.',
  });
  await inTransaction(context.database, async ({ trx, afterCommit }) => {
    const video = await lockVideo(trx, attempt.video_id);
    const row = await trx
      .updateTable('attempts')
      .set({
        state: 'abandoned',
        look_lease_until: null,
        look_at: databaseNowPlus(abandonedLookMs),
      })
      .where('id', '=', attempt.id)
      .where('state', '=', 'accepted')
      .returning('id')
      .executeTakeFirst();
    if (!row) return;
    const set = { error: JSON.stringify(error) };
    const fence = { videoId: video.id, from: ['generating'] as const, attemptNumber: attempt.number };
    await moveVideo(context, trx, { ...fence, to: 'failed', set, data: { error } });
    await releaseHold(trx, video, attempt.number, 'provider_lost');
    await freeSlot(trx, attempt.pool_id);
    const flow = { familyId: attempt.family_id, workspaceId: attempt.workspace_id };
    await finishInFlow(trx, flow, attempt.fairness_cost, attempt.age_ms);
    afterCommit(() => context.events.notify());
  });
  context.log('error', 'Gave up a task that Kling never ended', { attemptId: attempt.id });
  context.requestDispatch(await listFamiliesOf(context.database.kysely, attempt.pool_id));
}

/**
 * A callback said that a task ended: look now. At most one look is pending, whatever arrives. Before the task id is known the hint
 * is kept for it, and the first one brings the look-up of a create in doubt forward.
 * @returns whether it told anything new: it does not where the attempt has ended, or is about to be looked at anyway
 */
export async function hint(context: VideosContext, attemptId: string): Promise<boolean> {
  const row = await context.database.kysely
    .updateTable('attempts')
    .set({
      hinted_at: databaseNow,
      look_at: sql<Date>`case when state in ('accepted', 'abandoned') then dailies_now() else look_at end`,
      due_at: sql<Date>`case when state = 'doubtful' then least(due_at, dailies_now()) else due_at end`,
      published_at: sql<Date>`case when state = 'doubtful' then dailies_now() else published_at end`,
    })
    .where('id', '=', attemptId)
    .where('state', 'in', ['intended', 'sent', 'doubtful', 'accepted', 'abandoned'])
    // One look that is due and not under way answers every hint that came before it; a create in doubt is asked for once.
    .where(
      sql<boolean>`(hinted_at is null or (state <> 'doubtful'
        and (look_at is null or look_at > dailies_now() or look_lease_until > dailies_now())))`,
    )
    .returning('state')
    .executeTakeFirst();
  if (row?.state === 'doubtful') await publishNow(context, [{ kind: 'submit', id: attemptId }]);
  // Where the poller runs in this process, the engine would only be a detour.
  else if ((row?.state === 'accepted' || row?.state === 'abandoned') && !context.wakePoller())
    await publishNow(context, [{ kind: 'look', id: attemptId }]);
  return row !== undefined;
}
