import { getModel } from '../catalog/models.ts';
import { unitsText } from '../catalog/prices.ts';
import { durationText } from '../catalog/shape.ts';
import type { Task } from '../engine/task.ts';
import { isFinal, statusWord } from '../engine/task.ts';
import type { FileUrls } from '../files/file-urls.ts';

/** `data` of a legacy create. */
export function legacyCreated(task: Task): object {
  return {
    task_id: task.plan.id,
    task_status: statusWord(task, 'legacy'),
    task_info: legacyInfo(task),
    created_at: task.plan.createdAtMs,
    updated_at: task.updatedAtMs,
  };
}

/** A task as legacy queries and lists show it. */
export function legacyRecord(task: Task, urls: FileUrls): object {
  const succeeded = task.status === 'succeeded';
  return {
    task_id: task.plan.id,
    task_status: statusWord(task, 'legacy'),
    task_info: legacyInfo(task),
    task_result: succeeded ? { videos: [video(task, urls)] } : {},
    task_status_msg: task.status === 'failed' ? task.plan.reason : '',
    created_at: task.plan.createdAtMs,
    updated_at: task.updatedAtMs,
    ...(succeeded
      ? {
          final_unit_deduction: unitsText(task.plan.milliUnits),
          watermark_info: { enabled: task.plan.order.watermark },
        }
      : {}),
  };
}

/** What a legacy callback carries: no envelope, and all three result arrays whatever the product. */
export function legacyCallback(task: Task, urls: FileUrls): object {
  const succeeded = task.status === 'succeeded';
  return {
    task_id: task.plan.id,
    task_status: statusWord(task, 'legacy'),
    task_status_msg: task.status === 'failed' ? task.plan.reason : '',
    task_info: legacyInfo(task),
    task_result: { images: [], videos: succeeded ? [video(task, urls)] : [], audios: [] },
    created_at: task.plan.createdAtMs,
    updated_at: task.updatedAtMs,
    ...(succeeded ? { final_unit_deduction: unitsText(task.plan.milliUnits) } : {}),
  };
}

/** `data` of a standard create. */
export function standardCreated(task: Task): object {
  const { id, createdAtMs, order } = task.plan;
  return {
    id,
    status: statusWord(task, 'standard'),
    message: '',
    create_time: createdAtMs,
    update_time: task.updatedAtMs,
    ...(order.externalId === undefined ? {} : { external_id: order.externalId }),
  };
}

/** A task as `/tasks` and standard callbacks show it, whichever way it was created. */
export function standardRecord(task: Task, urls: FileUrls): object {
  const succeeded = task.status === 'succeeded';
  return {
    ...standardCreated(task),
    message: task.status === 'failed' ? task.plan.reason : '',
    outputs: succeeded ? [{ type: 'video', ...video(task, urls) }] : [],
    billing: isFinal(task.status)
      ? [{ charge_type: 'unit', amount: succeeded ? unitsText(task.plan.milliUnits) : '0', package_type: 'video' }]
      : [],
  };
}

/** The body of this task's callback in the shape of the generation it was created through. */
export function callbackRecord(task: Task, urls: FileUrls): object {
  return task.plan.order.generation === 'legacy' ? legacyCallback(task, urls) : standardRecord(task, urls);
}

function legacyInfo({ plan }: Task): object {
  return plan.order.externalId === undefined ? {} : { external_task_id: plan.order.externalId };
}

/** The watermarked variant is there only when it was ordered. */
function video(task: Task, urls: FileUrls): object {
  const { videoId, order } = task.plan;
  return {
    id: videoId,
    url: urls.urlOf(task),
    ...(order.watermark ? { watermark_url: urls.watermarkUrlOf(task) } : {}),
    duration: durationText(getModel(order.version), order.durationSeconds),
  };
}
