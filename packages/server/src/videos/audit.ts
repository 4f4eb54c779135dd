/**
 * The audit: Kling's own list against ours. A task with our id that the database does not hold as bought would be a payment that
 * nobody sees; it is reported, never mended silently (docs/guarantees.md).
 */
import { databaseNow } from '../db/now.ts';
import { idPrefixes } from '../kernel/ids.ts';
import type { KlingApi } from '../kling/kling-api.ts';
import type { VideosContext } from './context.ts';

/** Looks back over the last audit, because a task may have been under way then. */
const overlapMs = 60 * 60_000;
const firstSpanMs = 24 * 60 * 60_000;
/** Of external ids that one statement compares. */
const comparedAtOnce = 500;

export interface AuditReport {
  /** Tasks of ours that Kling listed. */
  readonly seen: number;
  /** External ids that Kling has and we do not hold as bought. */
  readonly unknown: readonly string[];
}

const ours = new RegExp(`^${idPrefixes.video}_[0-9a-z]+-\\d+$`);

/** Compares one account's recent tasks and logs every one that we do not know. @throws what the list throws */
export async function auditAccount(
  context: VideosContext,
  kling: KlingApi,
  accountId: string,
  signal: AbortSignal,
): Promise<AuditReport> {
  const { kysely } = context.database;
  const account = await kysely
    .selectFrom('accounts')
    .select('audited_at')
    .where('id', '=', accountId)
    .executeTakeFirst();
  const nowMs = Date.now();
  const fromMs = account?.audited_at ? account.audited_at.getTime() - overlapMs : nowMs - firstSpanMs;
  const listed = new Map<string, string>();
  const options = { signal, timeoutMs: context.options.readTimeoutMs };
  for await (const task of kling.listTasks(accountId, { fromMs, toMs: nowMs }, options)) {
    if (task.externalTaskId !== null && ours.test(task.externalTaskId)) listed.set(task.externalTaskId, task.taskId);
  }
  const unknown: string[] = [];
  const externalIds = [...listed.keys()];
  for (let start = 0; start < externalIds.length; start += comparedAtOnce) {
    const chunk = externalIds.slice(start, start + comparedAtOnce);
    const rows = await kysely
      .selectFrom('attempts')
      .select(['external_task_id', 'state'])
      .where('external_task_id', 'in', chunk)
      .execute();
    // What is still being submitted or is in doubt is the submit handler's to find.
    const held = new Set(rows.filter((row) => row.state !== 'refused').map((row) => row.external_task_id));
    unknown.push(...chunk.filter((id) => !held.has(id)));
  }
  for (const externalTaskId of unknown) {
    const fields = { accountId, externalTaskId, taskId: listed.get(externalTaskId) };
    context.log('error', 'Kling has a task of ours that is not held as bought', fields);
  }
  await kysely.updateTable('accounts').set({ audited_at: databaseNow }).where('id', '=', accountId).execute();
  return { seen: listed.size, unknown };
}
