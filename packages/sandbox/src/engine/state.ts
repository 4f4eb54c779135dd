import type { ActiveRule } from '../faults/rules.ts';
import { fileNameOf } from '../ids.ts';
import type { CallRecord, SandboxEvent } from './events.ts';
import type { Pool } from './pools.ts';
import { createPool, freeSlot, poolKey, takeSlot } from './pools.ts';
import type { Task, TaskPlan } from './task.ts';
import { isFinal } from './task.ts';

/** Calls that can be looked at; their counters go on without end. */
const callsKept = 10_000;

/** Everything that the sandbox remembers; changed by `applyEvent` alone. */
export interface State {
  /** First start on this journal. */
  bornAtMs: number | undefined;
  readonly tasks: Map<string, Task>;
  /** In order of creation. */
  readonly byAccount: Map<string, Task[]>;
  readonly byExternalId: Map<string, Task[]>;
  readonly byFileName: Map<string, Task>;
  readonly pools: Map<string, Pool>;
  readonly deductedMilliUnits: Map<string, number>;
  /** Prices of running tasks: an account cannot promise the same unit twice. */
  readonly reservedMilliUnits: Map<string, number>;
  readonly calls: CallRecord[];
  readonly callCounts: Map<string, number>;
  readonly refusedCounts: Map<string, number>;
  readonly callbackCounts: Map<string, number>;
  readonly rules: Map<number, ActiveRule>;
  readonly wordUses: Map<string, number>;
  createsPerExternalIdMax: number;
}

export function createState(): State {
  return {
    bornAtMs: undefined,
    tasks: new Map(),
    byAccount: new Map(),
    byExternalId: new Map(),
    byFileName: new Map(),
    pools: new Map(),
    deductedMilliUnits: new Map(),
    reservedMilliUnits: new Map(),
    calls: [],
    callCounts: new Map(),
    refusedCounts: new Map(),
    callbackCounts: new Map(),
    rules: new Map(),
    wordUses: new Map(),
    createsPerExternalIdMax: 0,
  };
}

export function externalKey(accountId: string, externalId: string): string {
  return `${accountId}\n${externalId}`;
}

export interface StateRules {
  readonly seed: number;
  capacityOf(accountId: string): number;
}

/** The only way in which state changes, live and when a journal is read again. */
export function applyEvent(state: State, event: SandboxEvent, rules: StateRules): void {
  switch (event.t) {
    case 'open':
      state.bornAtMs ??= event.at;
      return;
    case 'task':
      return addTask(state, event.plan, rules);
    case 'move':
      return moveTask(state, event);
    case 'call':
      return addCall(state, event.call);
    case 'callback':
      return increment(state.callbackCounts, event.outcome);
    case 'spoilt': {
      const task = state.tasks.get(event.id);
      if (task) task.spoilt[event.fault] = (task.spoilt[event.fault] ?? 0) + 1;
      return;
    }
    case 'rule':
      state.rules.set(event.rule.id, { rule: event.rule, used: 0, seen: 0 });
      return;
    case 'rule_used': {
      const active = state.rules.get(event.id);
      if (active) Object.assign(active, { used: event.used, seen: event.seen });
      return;
    }
    case 'rules_cleared':
      return state.rules.clear();
    case 'word_used':
      return increment(state.wordUses, event.word);
  }
}

function addTask(state: State, plan: TaskPlan, { seed, capacityOf }: StateRules): void {
  const { id, accountId, order, createdAtMs } = plan;
  const task: Task = {
    plan,
    fileName: fileNameOf(id, seed),
    status: 'submitted',
    updatedAtMs: createdAtMs,
    deductedBeforeMilliUnits: undefined,
    spoilt: {},
  };
  state.tasks.set(id, task);
  state.byFileName.set(task.fileName, task);
  push(state.byAccount, accountId, task);
  if (order.externalId !== undefined) {
    const same = push(state.byExternalId, externalKey(accountId, order.externalId), task);
    state.createsPerExternalIdMax = Math.max(state.createsPerExternalIdMax, same.length);
  }
  const key = poolKey(accountId, order.version);
  const pool = state.pools.get(key) ?? createPool(capacityOf(accountId), createdAtMs);
  state.pools.set(key, pool);
  takeSlot(pool, createdAtMs);
  increment(state.reservedMilliUnits, accountId, plan.milliUnits);
}

function moveTask(state: State, { id, to, at }: Extract<SandboxEvent, { t: 'move' }>): void {
  const task = state.tasks.get(id);
  if (!task || isFinal(task.status)) return;
  task.status = to;
  task.updatedAtMs = at;
  if (!isFinal(to)) return;
  const { accountId, order, createdAtMs, milliUnits } = task.plan;
  const pool = state.pools.get(poolKey(accountId, order.version));
  if (pool) freeSlot(pool, createdAtMs, at);
  increment(state.reservedMilliUnits, accountId, -milliUnits);
  if (to !== 'succeeded') return;
  task.deductedBeforeMilliUnits = state.deductedMilliUnits.get(accountId) ?? 0;
  increment(state.deductedMilliUnits, accountId, milliUnits);
}

function addCall(state: State, call: CallRecord): void {
  increment(state.callCounts, call.kind);
  if (call.refused !== undefined) increment(state.refusedCounts, call.refused);
  state.calls.push(call);
  // Cut in large steps: shifting an array of this size on every call would cost more than the call.
  if (state.calls.length > 2 * callsKept) state.calls.splice(0, callsKept);
}

function increment(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function push(lists: Map<string, Task[]>, key: string, task: Task): Task[] {
  const list = lists.get(key) ?? [];
  list.push(task);
  lists.set(key, list);
  return list;
}

/** Back to nothing, in place: everybody holds the same state. */
export function clearState(state: State): void {
  for (const part of Object.values(state)) if (part instanceof Map) part.clear();
  state.calls.length = 0;
  state.bornAtMs = undefined;
  state.createsPerExternalIdMax = 0;
}
