/** Slots of one account x model version x pack type: held from create to the end of a task. */
export interface Pool {
  readonly capacity: number;
  inFlight: number;
  maxInFlight: number;
  /** Slot time of ended tasks. */
  endedBusyMs: number;
  /** Sum of the create times of running tasks: with it, their slot time so far needs no walk over them. */
  runningSinceSumMs: number;
  firstCreateAtMs: number;
  lastEndAtMs: number | undefined;
}

/** The pack type is always `video` here. */
export function poolKey(accountId: string, version: string): string {
  return `${accountId}/${version}/video`;
}

export function createPool(capacity: number, firstCreateAtMs: number): Pool {
  return {
    capacity,
    inFlight: 0,
    maxInFlight: 0,
    endedBusyMs: 0,
    runningSinceSumMs: 0,
    firstCreateAtMs,
    lastEndAtMs: undefined,
  };
}

export function takeSlot(pool: Pool, atMs: number): void {
  pool.inFlight++;
  pool.maxInFlight = Math.max(pool.maxInFlight, pool.inFlight);
  pool.runningSinceSumMs += atMs;
}

export function freeSlot(pool: Pool, createdAtMs: number, atMs: number): void {
  pool.inFlight--;
  pool.runningSinceSumMs -= createdAtMs;
  pool.endedBusyMs += atMs - createdAtMs;
  pool.lastEndAtMs = Math.max(pool.lastEndAtMs ?? atMs, atMs);
}

/** Slot milliseconds used so far, running tasks included. */
export function busyMs(pool: Pool, nowMs: number): number {
  return pool.endedBusyMs + pool.inFlight * nowMs - pool.runningSinceSumMs;
}

/** Capacity x time from the first create until now, or until the last end when nothing runs. */
export function availableMs(pool: Pool, nowMs: number): number {
  const untilMs = pool.inFlight > 0 ? nowMs : (pool.lastEndAtMs ?? nowMs);
  return pool.capacity * (untilMs - pool.firstCreateAtMs);
}
