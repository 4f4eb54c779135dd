import { z } from 'zod';
import { unitsOfBilling, unitsOfDeduction } from './deducted-units.ts';
import type { ReportedVideo, TaskReport } from './kling-api.ts';
import { plainMessage } from './plain-message.ts';
import { urlExpiryMs } from './url-expiry.ts';

/**
 * Ids are strings of 18 digits. A JSON number of that size has already lost its last digits, so a numeric id makes the
 * record unreadable instead of naming another task.
 */
const id = z.string().min(1).max(200);
const words = z.string().nullish().catch(null);
const time = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .nullish()
  .catch(null);
const list = z.array(z.unknown()).nullish().catch(null);

const legacyRecord = z.object({
  task_id: id,
  task_status: z.string(),
  task_status_msg: words,
  task_info: z.object({ external_task_id: words }).nullish().catch(null),
  task_result: z.object({ videos: list }).nullish().catch(null),
  created_at: time,
  updated_at: time,
  final_unit_deduction: z.unknown().optional(),
  final_balance_deduction: z.unknown().optional(),
});

const standardRecord = z.object({
  id,
  status: z.string(),
  message: words,
  external_id: words,
  outputs: list,
  create_time: time,
  update_time: time,
  billing: z.unknown().optional(),
});

const reportedVideo = z.object({
  type: words,
  id: words,
  url: z.string().min(1),
  duration: z
    .union([z.string(), z.number().transform(String)])
    .nullish()
    .catch(null),
});

/** A task record of either generation; undefined when it is neither. Unknown fields are ignored. */
export function readTaskRecord(record: unknown): TaskReport | undefined {
  const standard = standardRecord.safeParse(record);
  if (standard.success) return fromStandard(standard.data);
  const legacy = legacyRecord.safeParse(record);
  return legacy.success ? fromLegacy(legacy.data) : undefined;
}

function fromStandard(record: z.infer<typeof standardRecord>): TaskReport {
  return {
    taskId: record.id,
    externalTaskId: record.external_id ?? null,
    status: statusOf(record.status),
    statusWord: plainMessage(record.status),
    message: plainMessage(record.message ?? ''),
    createdAtMs: record.create_time ?? null,
    updatedAtMs: record.update_time ?? null,
    video: firstVideo(record.outputs),
    deductedUnits: unitsOfBilling(record.billing),
  };
}

function fromLegacy(record: z.infer<typeof legacyRecord>): TaskReport {
  return {
    taskId: record.task_id,
    externalTaskId: record.task_info?.external_task_id ?? null,
    status: statusOf(record.task_status),
    statusWord: plainMessage(record.task_status),
    message: plainMessage(record.task_status_msg ?? ''),
    createdAtMs: record.created_at ?? null,
    updatedAtMs: record.updated_at ?? null,
    video: firstVideo(record.task_result?.videos),
    deductedUnits: unitsOfDeduction(record.final_unit_deduction, record.final_balance_deduction),
  };
}

/** Both words for success are taken from both generations: a task made by one may be read through the other. */
export function statusOf(word: string): TaskReport['status'] {
  switch (word) {
    case 'submitted':
    case 'processing':
    case 'failed':
      return word;
    case 'succeed':
    case 'succeeded':
      return 'succeeded';
    default:
      return 'unknown';
  }
}

function firstVideo(entries: readonly unknown[] | null | undefined): ReportedVideo | null {
  for (const entry of entries ?? []) {
    const parsed = reportedVideo.safeParse(entry);
    if (!parsed.success || (parsed.data.type ?? 'video') !== 'video') continue;
    const { id: videoId, url, duration } = parsed.data;
    return { id: videoId ?? null, url, duration: duration ?? null, expiresAtMs: urlExpiryMs(url) };
  }
  return null;
}
