/** A server may ask for longer; then the caller decides, not a hidden wait. */
const longestWaitMs = 60_000;
const stepCapMs = 8_000;

/** Milliseconds of a Retry-After header (seconds or an HTTP date); null when it is absent or unreadable. */
export function retryAfterMs(header: string | null, nowMs: number = Date.now()): number | null {
  if (header === null) return null;
  if (/^\d+(\.\d+)?$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs);
}

/**
 * How long to wait before the next try: the server's own wish, else exponential with jitter.
 * @param tries how often it was tried, from 1
 * @returns null when the server asks for more than a minute
 */
export function waitBeforeRetryMs(tries: number, baseMs: number, wishMs: number | null): number | null {
  if (wishMs !== null) return wishMs <= longestWaitMs ? wishMs : null;
  const step = Math.min(stepCapMs, baseMs * 2 ** Math.min(tries - 1, 20));
  return step * (0.5 + Math.random() / 2);
}

/** Waits; rejects with the signal's reason when it fires. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', stop, { once: true });
    function done(): void {
      signal?.removeEventListener('abort', stop);
      resolve();
    }
    function stop(): void {
      clearTimeout(timer);
      reject(signal?.reason);
    }
  });
}
