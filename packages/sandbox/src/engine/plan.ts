import { generationTime } from '../catalog/generation-time.ts';
import { seeded } from '../random.ts';
import { getModel } from '../catalog/models.ts';
import { priceOf } from '../catalog/prices.ts';
import type { Clock } from '../clock.ts';
import type { FaultHit } from '../faults/catalogue.ts';
import { videoIdOf } from '../ids.ts';
import type { Settings } from '../options.ts';
import type { Order } from '../wire/order.ts';
import type { TaskPlan } from './task.ts';

const moderationReason = 'Failure to pass the risk control system';
const generatorReason = 'Something went wrong when we tried to generate the video.';

export interface PlanInput {
  readonly id: string;
  readonly accountId: string;
  readonly order: Order;
  readonly faults: readonly FaultHit[];
  readonly nowMs: number;
  /** Number of the create: what the seeded generation time is drawn by. */
  readonly ordinal: number;
}

/** Decides a task's whole life at its create: when it moves, how it ends, what it costs. */
export function planTask(input: PlanInput, settings: Settings, clock: Clock): TaskPlan {
  const { id, accountId, order, faults, nowMs } = input;
  const has = (name: FaultHit['name']): boolean => faults.some((fault) => fault.name === name);
  const { submittedMs, totalMs } = spans(input, settings, clock);
  const isDoomed = order.doomed !== undefined || has('moderation_failed');
  const factor = has('slow') ? 10 : has('unknown_status') ? 2 : 1;
  const endMs = isDoomed ? submittedMs : totalMs * factor;
  const fails = isDoomed || has('failed_after_processing');
  return {
    id,
    videoId: videoIdOf(id, settings.seed),
    accountId,
    order,
    milliUnits: price(order),
    createdAtMs: nowMs,
    visibleAtMs: nowMs + settings.visibilityLagMs,
    processingAtMs: isDoomed ? null : nowMs + submittedMs,
    endsAtMs: has('stuck') ? null : nowMs + Math.round(endMs),
    outcome: fails ? 'failed' : 'succeeded',
    reason: fails ? (order.doomed ?? (isDoomed ? moderationReason : generatorReason)) : '',
    faults,
  };
}

export function price(order: Order): number {
  return priceOf(getModel(order.version), order.level, order.durationSeconds, order.sound, order.voice);
}

function spans(
  { order, ordinal }: PlanInput,
  settings: Settings,
  clock: Clock,
): { submittedMs: number; totalMs: number } {
  const natural = generationTime({ ...order, model: getModel(order.version) }, settings.seed, ordinal);
  if (settings.taskMs === undefined) {
    return { submittedMs: Math.round(clock.scaled(natural.submittedMs)), totalMs: clock.scaled(natural.totalMs) };
  }
  const share = 1 + settings.taskSpread * (2 * seeded(settings.seed, 'spread', ordinal) - 1);
  const totalMs = settings.taskMs * share;
  return { submittedMs: Math.round((totalMs * natural.submittedMs) / natural.totalMs), totalMs };
}
