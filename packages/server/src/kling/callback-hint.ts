import { z } from 'zod';
import type { CallbackHint } from './kling-api.ts';
import { statusOf } from './task-record.ts';

/** Ids that are no strings are dropped, not refused: the callback's own address already names the attempt. */
const id = z.string().min(1).max(200).nullish().catch(null);
const legacyBody = z.object({
  task_id: id,
  task_status: z.string(),
  task_info: z.object({ external_task_id: id }).nullish().catch(null),
});
const standardBody = z.object({ id, status: z.string(), external_id: id });

/** Reads the bare task record that Kling posts, of either generation; undefined when it is neither. */
export function parseCallback(body: unknown): CallbackHint | undefined {
  const legacy = legacyBody.safeParse(body);
  if (legacy.success) {
    const { task_id: taskId, task_info: info, task_status: word } = legacy.data;
    return { taskId: taskId ?? null, externalTaskId: info?.external_task_id ?? null, final: isFinal(word) };
  }
  const standard = standardBody.safeParse(body);
  if (!standard.success) return undefined;
  const { id: taskId, external_id: externalTaskId, status: word } = standard.data;
  return { taskId: taskId ?? null, externalTaskId: externalTaskId ?? null, final: isFinal(word) };
}

/** A word that we do not know may be an end: one query tells. */
function isFinal(word: string): boolean {
  const status = statusOf(word);
  return status !== 'submitted' && status !== 'processing';
}
