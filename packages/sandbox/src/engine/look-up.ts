import type { Generation } from '../catalog/models.ts';
import type { State } from './state.ts';
import { externalKey } from './state.ts';
import type { Task } from './task.ts';

/** Which tasks a look-up or list may see. */
export interface View {
  readonly accountId: string;
  readonly nowMs: number;
  /** Legacy paths see what was created through them; the standard ones see everything. */
  readonly generation?: Generation;
}

/** The task with this id, if the view shows it. */
export function findById(state: State, id: string, view: View): Task | undefined {
  const task = state.tasks.get(id);
  return task && isShown(task, view) ? task : undefined;
}

/** The newest shown task with this external id; more than one exists only where repeated ids create a second task. */
export function findByExternalId(state: State, externalId: string, view: View): Task | undefined {
  return state.byExternalId.get(externalKey(view.accountId, externalId))?.findLast((task) => isShown(task, view));
}

/** Shown tasks of the account, newest first, from a position (exclusive) of its list of creates; with their positions. */
export function* newestFirst(state: State, view: View, before = Infinity): Generator<readonly [Task, number]> {
  const tasks = state.byAccount.get(view.accountId) ?? [];
  for (let position = Math.min(before, tasks.length) - 1; position >= 0; position--) {
    const task = tasks[position];
    if (task && isShown(task, view)) yield [task, position];
  }
}

function isShown({ plan }: Task, { accountId, nowMs, generation }: View): boolean {
  return (
    plan.accountId === accountId &&
    plan.visibleAtMs <= nowMs &&
    (generation === undefined || plan.order.generation === generation)
  );
}
