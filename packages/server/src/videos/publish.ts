import { sql, type Kysely } from 'kysely';
import type { Tables } from '../db/tables.ts';
import type { TransactionContext } from '../db/transaction.ts';
import type { Message, MessageKind } from '../queue/queue.ts';
import type { VideosContext } from './context.ts';

/** Where the row of a message is. A look has none: the poller finds what is due by itself. */
export const messageTables = { submit: 'attempts', archive: 'files', notify: 'deliveries' } as const satisfies Partial<
  Record<MessageKind, keyof Tables>
>;

/**
 * Publishes the messages of rows that a transaction has written: with its commit where the engine is our own database, else right after it, because a
 * message that overtakes its row finds nothing to claim. A publish that fails is left to the sweeper, which finds the rows unpublished.
 */
export async function publishWith(
  context: VideosContext,
  { trx, afterCommit }: TransactionContext,
  messages: readonly Message[],
): Promise<void> {
  if (messages.length === 0) return;
  if (context.queue.limits.transactional) return context.queue.publish(messages, trx);
  afterCommit(() => publishNow(context, messages));
}

/** Publishes at once. Never throws: what the engine does not take is marked as unpublished, for the sweeper. */
export async function publishNow(context: VideosContext, messages: readonly Message[]): Promise<void> {
  try {
    await context.queue.publish(messages);
  } catch (error) {
    context.log('warn', 'The queue engine took no messages; the sweeper sends them later', {
      error,
      messages: messages.length,
    });
    await unpublish(context.database.kysely, messages);
  }
}

/** Undoes the mark of a publish that did not happen, so that the wait before the next one does not grow. */
export async function unpublish(kysely: Kysely<Tables>, messages: readonly Message[]): Promise<void> {
  for (const [kind, table] of Object.entries(messageTables)) {
    const ids = messages.filter((message) => message.kind === kind).map(({ id }) => id);
    if (ids.length === 0) continue;
    await sql`update ${sql.table(table)} set published_at = null, publishes = greatest(publishes - 1, 0)
      where id = any(${sql.val(ids)}::text[])`.execute(kysely);
  }
}
