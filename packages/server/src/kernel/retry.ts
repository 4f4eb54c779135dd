/** Exponential back-off: `baseMs` doubled per earlier try, capped, with jitter so that many waiters spread. */
export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * How long to wait before try number `tries + 1`.
 * @param tries how often it was tried before, from 0
 * @param random from 0 to 1; the wait is between half and all of the exponential step
 */
export function backoffMs(backoff: Backoff, tries: number, random: number): number {
  const step = Math.min(backoff.capMs, backoff.baseMs * 2 ** Math.min(tries, 30));
  return Math.round(step * (0.5 + random / 2));
}
