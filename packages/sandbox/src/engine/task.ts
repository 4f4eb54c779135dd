import type { MilliUnits } from '../catalog/prices.ts';
import type { FaultHit } from '../faults/catalogue.ts';
import type { Order } from '../wire/order.ts';

export type TaskStatus = 'submitted' | 'processing' | 'succeeded' | 'failed';

/** How a task will go, decided at its create. What a journal line carries. */
export interface TaskPlan {
  readonly id: string;
  readonly videoId: string;
  readonly accountId: string;
  readonly order: Order;
  /** Charged if it succeeds. */
  readonly milliUnits: MilliUnits;
  readonly createdAtMs: number;
  /** Look-ups and lists do not show it before. */
  readonly visibleAtMs: number;
  /** Null: it goes from submitted straight to its end. */
  readonly processingAtMs: number | null;
  /** Null: it never ends. */
  readonly endsAtMs: number | null;
  readonly outcome: 'succeeded' | 'failed';
  /** Why it fails; '' when it does not. */
  readonly reason: string;
  readonly faults: readonly FaultHit[];
}

export interface Task {
  readonly plan: TaskPlan;
  readonly fileName: string;
  status: TaskStatus;
  updatedAtMs: number;
  /** What its account had used before it was charged; undefined until it succeeds. */
  deductedBeforeMilliUnits: MilliUnits | undefined;
  /** Downloads that a file fault has spoilt so far, by fault. */
  readonly spoilt: Partial<Record<string, number>>;
}

export function isFinal(status: TaskStatus): boolean {
  return status === 'succeeded' || status === 'failed';
}

export function hasFault(task: Task, name: FaultHit['name']): boolean {
  return task.plan.faults.some((fault) => fault.name === name);
}

/** The word that the faulty task shows instead of `processing`. */
const unknownWord = 'suspended';

/** The status as this generation spells it. */
export function statusWord(task: Task, generation: Order['generation']): string {
  if (task.status === 'processing' && hasFault(task, 'unknown_status')) return unknownWord;
  return task.status === 'succeeded' && generation === 'legacy' ? 'succeed' : task.status;
}
