import { unitsText } from '../catalog/prices.ts';
import { availableMs, busyMs } from './pools.ts';
import type { State } from './state.ts';

/** What `GET /_sandbox/stats` answers. Pools are `<account>/<model version>/video`; times are milliseconds. */
export interface SandboxStats {
  readonly creates_accepted: number;
  /** By service code, or by the name of the fault that refused. */
  readonly creates_refused: Record<string, number>;
  /** Above 1: an external task id bought more than one task. */
  readonly max_creates_per_external_id: number;
  readonly in_flight: Record<string, number>;
  readonly max_in_flight: Record<string, number>;
  readonly calls: Record<string, number>;
  readonly callbacks: Record<string, number>;
  /** Exact decimal. */
  readonly units_deducted: string;
  readonly slot_busy_ms: Record<string, number>;
  /** Capacity x time from the first create until now, or until the last end when nothing runs. */
  readonly slot_available_ms: Record<string, number>;
  readonly pools: Record<string, PoolStats>;
  /** By status, in the words of the standard generation. */
  readonly tasks: Record<string, number>;
}

export interface PoolStats {
  readonly capacity: number;
  /** Unix milliseconds. */
  readonly first_create_at: number;
  readonly last_end_at: number | null;
}

export function readStats(state: State, nowMs: number): SandboxStats {
  const pools = [...state.pools];
  const byPool = <Value>(read: (pool: (typeof pools)[number][1]) => Value): Record<string, Value> =>
    Object.fromEntries(pools.map(([key, pool]) => [key, read(pool)]));
  const tasks: Record<string, number> = {};
  for (const { status } of state.tasks.values()) tasks[status] = (tasks[status] ?? 0) + 1;
  return {
    creates_accepted: state.tasks.size,
    creates_refused: Object.fromEntries(state.refusedCounts),
    max_creates_per_external_id: state.createsPerExternalIdMax,
    in_flight: byPool((pool) => pool.inFlight),
    max_in_flight: byPool((pool) => pool.maxInFlight),
    calls: Object.fromEntries(state.callCounts),
    callbacks: Object.fromEntries(state.callbackCounts),
    units_deducted: unitsText([...state.deductedMilliUnits.values()].reduce((sum, amount) => sum + amount, 0)),
    slot_busy_ms: byPool((pool) => busyMs(pool, nowMs)),
    slot_available_ms: byPool((pool) => availableMs(pool, nowMs)),
    pools: byPool((pool) => ({
      capacity: pool.capacity,
      first_create_at: pool.firstCreateAtMs,
      last_end_at: pool.lastEndAtMs ?? null,
    })),
    tasks,
  };
}
