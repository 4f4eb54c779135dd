/** Crash counts and dead letters are rows, so that every engine behaves alike (docs/guarantees.md). */
import { sql } from 'kysely';
import { databaseNow, databaseNowPlus } from '../db/now.ts';
import { inTransaction } from '../db/transaction.ts';
import type { Message } from '../queue/queue.ts';
import { listFamiliesOf } from '../scheduling/slots.ts';
import { claimAttempt, isCertain } from './attempt.ts';
import type { VideosContext } from './context.ts';
import { failUnbought, lockVideo, refuseAttempt, videoError } from './end-attempt.ts';
import { messageTables } from './publish.ts';

/** Crashes of one message after which it is a dead letter. */
const crashesAllowed = 5;
const retryBaseMs = 2_000;

/**
 * Counts a handler that threw: a bug, or the unknown. The row is due again with a growing wait; a submit that crashed too often ends
 * as a dead letter if it certainly bought nothing, and so does a delivery. What was sent stays with the look-ups, and a paid file is never given up here.
 */
export async function recordCrash(context: VideosContext, message: Message, error: Error): Promise<void> {
  const { kysely } = context.database;
  const row = await kysely
    .insertInto('dead_letters')
    .values({
      kind: message.kind,
      id: message.id,
      crashes: 1,
      reason: error.message.slice(0, 1_000),
      dead_at: null,
      updated_at: databaseNow,
    })
    .onConflict((conflict) =>
      conflict.columns(['kind', 'id']).doUpdateSet({
        crashes: sql`dead_letters.crashes + 1`,
        reason: error.message.slice(0, 1_000),
        updated_at: databaseNow,
      }),
    )
    .returning('crashes')
    .executeTakeFirstOrThrow();
  const waitMs = retryBaseMs * 2 ** Math.min(row.crashes - 1, 8);
  const dueAt = databaseNowPlus(waitMs);
  const due = { due_at: dueAt, published_at: null, publishes: 0 };
  if (message.kind === 'look') return; // it has no row: the poller finds what is due by itself
  await kysely
    .updateTable(messageTables[message.kind])
    .set(due)
    .where('id', '=', message.id)
    .where('due_at', 'is not', null)
    .where(unclaimed)
    .execute();
  if (row.crashes < crashesAllowed) return;
  if (message.kind === 'submit') await buryUnsent(context, message, error);
  if (message.kind === 'notify') await buryDelivery(context, message, error);
}

/** A handler gave a message up: it stays readable as a dead letter. */
export async function recordDeadLetter(
  { database }: Pick<VideosContext, 'database'>,
  message: Message,
  reason: string,
): Promise<void> {
  await database.kysely
    .insertInto('dead_letters')
    .values({
      kind: message.kind,
      id: message.id,
      reason: reason.slice(0, 1_000),
      dead_at: databaseNow,
      updated_at: databaseNow,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['kind', 'id'])
        .doUpdateSet({ reason: reason.slice(0, 1_000), dead_at: databaseNow, updated_at: databaseNow }),
    )
    .execute();
}

/**
 * A queue engine delivered a message too often and gave it up by itself. The row decides: one that is still due is kept readable as a
 * dead letter and loses nothing, for the sweeper publishes it again; for any other the message was a stale one.
 */
export async function recordGivenUp(context: VideosContext, message: Message, engine: string): Promise<void> {
  const { kind, id } = message;
  const due = await isDue(context, message);
  context.log(due ? 'error' : 'info', 'The queue engine gave a message up', { kind, id, engine, due });
  if (due)
    await recordDeadLetter(context, message, `The queue engine (${engine}) delivered it too often and gave it up.`);
}

async function isDue({ database }: VideosContext, { kind, id }: Message): Promise<boolean> {
  if (kind === 'look') return false;
  const { rows } = await sql`
    select 1 from ${sql.table(messageTables[kind])} where id = ${id} and due_at is not null`.execute(database.kysely);
  return rows.length > 0;
}

/** Another worker may have the row by now: its lease is not ours to end. */
const unclaimed = sql<boolean>`(lease_until is null or lease_until <= dailies_now())`;

async function buryUnsent(context: VideosContext, message: Message, cause: Error): Promise<void> {
  const { kysely } = context.database;
  const unsent = await kysely
    .updateTable('attempts')
    .set({ due_at: databaseNow })
    .where('id', '=', message.id)
    .where('due_at', 'is not', null)
    .whereRef('sent_count', '=', 'refused_count')
    .where('look_first', '=', false)
    .where(unclaimed)
    .executeTakeFirst();
  if (unsent.numUpdatedRows === 0n) return;
  const attempt = await claimAttempt(kysely, message.id, context.options.leaseMs);
  if (!attempt || !isCertain(attempt)) return;
  const error = videoError({
    code: 'submit_dead_letter',
    message: 'Sending it to Kling failed again and again on our side. Nothing was sent or charged.',
  });
  await inTransaction(context.database, async ({ trx, afterCommit }) => {
    const video = await lockVideo(trx, attempt.video_id);
    if (!(await refuseAttempt(trx, attempt, null))) return;
    await failUnbought(context, trx, video, attempt, error);
    afterCommit(() => context.events.notify());
  });
  await recordDeadLetter(context, message, `${error.message} ${cause.message}`);
  context.log('error', 'A submit became a dead letter', { attemptId: attempt.id, videoId: attempt.video_id });
  context.requestDispatch(await listFamiliesOf(kysely, attempt.pool_id));
}

async function buryDelivery({ database, log }: VideosContext, message: Message, error: Error): Promise<void> {
  const reason = `Sending it failed again and again on our side: ${error.message}`.slice(0, 1_000);
  const buried = await database.kysely
    .updateTable('deliveries')
    .set({ state: 'failed', due_at: null, lease_until: null, last_error: reason })
    .where('id', '=', message.id)
    .where('state', '=', 'pending')
    .where(unclaimed)
    .returning('video_id')
    .executeTakeFirst();
  if (!buried) return;
  await recordDeadLetter({ database }, message, reason);
  log('error', 'A delivery became a dead letter', { deliveryId: message.id, videoId: buried.video_id });
}
