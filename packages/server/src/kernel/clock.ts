import { setTimeout as delay } from 'node:timers/promises';

/**
 * Process-local time, for local time-outs only. Stored deadlines come from the database (`dailies_now()`):
 * clocks of processes differ, and a stored time must mean the same to all of them.
 */
export interface Clock {
  /** Milliseconds on a clock that never jumps; meaningless outside this process. */
  monotonicMs(): number;
  /** Wall-clock milliseconds, for what outside parties check (JWT, signatures, links). */
  wallMs(): number;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** Waits, and returns early (without throwing) when the signal fires. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  await delay(ms, undefined, signal ? { signal } : {}).catch((error: unknown) => {
    if (!signal?.aborted) throw error;
  });
}
