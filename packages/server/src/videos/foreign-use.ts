import type { KlingApi } from '../kling/kling-api.ts';
import { setForeignUse } from '../scheduling/limits.ts';
import type { AttemptRow } from './attempt.ts';
import type { VideosContext } from './context.ts';

/** Longer than any task runs. */
const spanMs = 2 * 60 * 60_000;

/**
 * After a 1303: counts running tasks on the account that are not ours and shrinks the pool by them. The list does not name models,
 * so tasks of other models count too: too few slots for a minute are better than refusals.
 */
export async function shrinkByForeignUse(
  context: VideosContext,
  kling: KlingApi,
  attempt: AttemptRow,
  signal: AbortSignal,
): Promise<void> {
  const running: { readonly taskId: string; readonly externalTaskId: string | null }[] = [];
  try {
    const nowMs = Date.now();
    const span = { fromMs: nowMs - spanMs, toMs: nowMs };
    for await (const task of kling.listTasks(attempt.account_id, span, {
      signal,
      timeoutMs: context.options.readTimeoutMs,
    })) {
      if (task.status === 'submitted' || task.status === 'processing') running.push(task);
    }
  } catch (error) {
    context.log('warn', 'Could not count the tasks of others after a 1303', { error, accountId: attempt.account_id });
    return;
  }
  const ours = await context.database.kysely
    .selectFrom('attempts')
    .select(['task_id', 'external_task_id'])
    .where('account_id', '=', attempt.account_id)
    .where('holds_slot', '=', true)
    .execute();
  // A task whose answer is still awaited is known by our own id only.
  const ids = new Set(ours.flatMap((row) => [row.task_id, row.external_task_id]));
  const foreign = running.filter((task) => !ids.has(task.taskId) && !ids.has(task.externalTaskId ?? task.taskId));
  await setForeignUse(context.database.kysely, attempt.pool_id, foreign.length);
}
