import { setTimeout as delay } from 'node:timers/promises';

/**
 * The sandbox's time. Stamps are real wall-clock milliseconds, because clients check them (JWT, URL expiry, callbacks);
 * only the length of a generation is divided by the speed.
 */
export interface Clock {
  nowMs(): number;
  /** Wall milliseconds that a span of generation time takes here. */
  scaled(generationMs: number): number;
  /** Runs once when the wall clock has reached `atMs`; returns its cancel. */
  at(atMs: number, run: () => void): () => void;
}

/** Node's timers overflow above this. */
const timerMsMax = 2_147_000_000;

export function createClock(speed: number): Clock {
  return {
    nowMs: () => Date.now(),
    scaled: (generationMs) => generationMs / speed,
    at: (atMs, run) => {
      let timer: NodeJS.Timeout;
      const arm = (): void => {
        const leftMs = atMs - Date.now();
        timer = leftMs > timerMsMax ? setTimeout(arm, timerMsMax) : setTimeout(fire, Math.max(0, leftMs));
      };
      // A timer may fire up to a millisecond early; a stamp before the planned time would make slot accounts inexact.
      const fire = (): void => (Date.now() < atMs ? arm() : run());
      arm();
      return () => clearTimeout(timer);
    },
  };
}

/** Waits, and returns early (without throwing) when the signal fires. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal ? { signal } : {}).catch((error: unknown) => {
    if (!signal?.aborted) throw error;
  });
}
