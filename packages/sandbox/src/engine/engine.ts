import type { AccountSettings } from '../accounts.ts';
import { getModel } from '../catalog/models.ts';
import type { Clock } from '../clock.ts';
import type { Faults, FaultSubject } from '../faults/faults.ts';
import { throwRefusal } from '../faults/faults.ts';
import type { Ids } from '../ids.ts';
import type { Settings } from '../options.ts';
import { Refusal } from '../wire/codes.ts';
import type { Order } from '../wire/order.ts';
import type { SandboxEvent } from './events.ts';
import { planTask, price } from './plan.ts';
import { poolKey } from './pools.ts';
import type { State } from './state.ts';
import { externalKey } from './state.ts';
import type { Task } from './task.ts';
import { isFinal } from './task.ts';

export interface Engine {
  /**
   * Takes an order through the rest of Kling's checks (external id, account, moderation, concurrency) and starts it.
   * @throws Refusal or GatewayFault: nothing was created
   */
  create(account: AccountSettings, order: Order): { readonly task: Task; readonly repeated: boolean };
  /**
   * After a journal was replayed: ends what should have ended meanwhile, at the time at which it should have, and sets
   * the timers of the rest. Callbacks of the dead time are lost, as they would have met nobody.
   */
  resume(): void;
  /** Cancels every timer. */
  stop(): void;
}

export interface EngineParts {
  readonly state: State;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly ids: Ids;
  readonly faults: Faults;
  record(event: SandboxEvent): void;
  /** A task has just been created or moved. */
  announce(task: Task): void;
}

export function createEngine(parts: EngineParts): Engine {
  const { state, clock, settings, ids, faults, record, announce } = parts;
  const timers = new Map<string, () => void>();

  function move(task: Task, to: 'processing' | 'succeeded' | 'failed', atMs: number): void {
    record({ t: 'move', id: task.plan.id, to, at: atMs });
  }

  /** Sets the timer of the task's next move; none when it has ended or never will. */
  function schedule(task: Task): void {
    const { id, processingAtMs, endsAtMs, outcome } = task.plan;
    const next =
      task.status === 'submitted' && processingAtMs !== null
        ? ({ to: 'processing', atMs: processingAtMs } as const)
        : ({ to: outcome, atMs: endsAtMs } as const);
    timers.delete(id);
    if (isFinal(task.status) || next.atMs === null) return;
    const cancel = clock.at(next.atMs, () => {
      move(task, next.to, clock.nowMs());
      schedule(task);
      announce(task);
    });
    timers.set(id, cancel);
  }

  function start(account: AccountSettings, order: Order, subject: FaultSubject): Task {
    const nowMs = clock.nowMs();
    const plan = planTask(
      {
        id: ids.next(nowMs),
        accountId: account.id,
        order,
        faults: faults.drawForTask(subject),
        nowMs,
        ordinal: state.tasks.size,
      },
      settings,
      clock,
    );
    record({ t: 'task', plan });
    const task = state.tasks.get(plan.id);
    if (!task) throw new Error(`task ${plan.id} was recorded but is not there`);
    schedule(task);
    announce(task);
    return task;
  }

  function catchUp(task: Task, nowMs: number): void {
    const { processingAtMs, endsAtMs, outcome, order } = task.plan;
    const missed = (): void => {
      if (order.callbackUrl) record({ t: 'callback', outcome: 'lost_while_down' });
    };
    if (task.status === 'submitted' && processingAtMs !== null && processingAtMs <= nowMs) {
      move(task, 'processing', processingAtMs);
      missed();
    }
    if (endsAtMs !== null && endsAtMs <= nowMs) {
      move(task, outcome, endsAtMs);
      missed();
    }
  }

  return {
    create(account, order) {
      const first = findRepeated(state, account.id, order.externalId);
      if (first && settings.repeatedExternalId === 'refuse') {
        throw new Refusal(1201, `External_task_id ${order.externalId} already exists`);
      }
      if (first && settings.repeatedExternalId === 'return-first') return { task: first, repeated: true };
      const subject: FaultSubject = {
        call: 'create',
        model: getModel(order.version),
        prompt: order.prompt,
        externalId: order.externalId,
      };
      if (price(order) > unpromisedMilliUnits(state, account)) throw new Refusal(1102);
      const refusal = faults.drawRefusal(subject);
      if (refusal) throwRefusal(refusal);
      const pool = state.pools.get(poolKey(account.id, order.version));
      if (pool && pool.inFlight >= account.slots) throw new Refusal(1303);
      return { task: start(account, order, subject), repeated: false };
    },
    resume() {
      const nowMs = clock.nowMs();
      for (const task of state.tasks.values()) {
        if (isFinal(task.status)) continue;
        catchUp(task, nowMs);
        schedule(task);
      }
    },
    stop() {
      for (const cancel of timers.values()) cancel();
      timers.clear();
    },
  };
}

function findRepeated(state: State, accountId: string, externalId: string | undefined): Task | undefined {
  return externalId === undefined ? undefined : state.byExternalId.get(externalKey(accountId, externalId))?.[0];
}

/** Units that neither an ended nor a running task has used. */
function unpromisedMilliUnits(state: State, account: AccountSettings): number {
  const used = (state.deductedMilliUnits.get(account.id) ?? 0) + (state.reservedMilliUnits.get(account.id) ?? 0);
  return account.units * 1000 - used;
}
