/** When the next look at a running task is worth its call (docs/guarantees.md). */
import type { ExpectedDuration } from '../scheduling/durations.ts';
import type { VideosContext } from './context.ts';

type Timing = Pick<VideosContext, 'options'>;

/**
 * From the send, in ms. Unobserved: a tenth of the guess, because the guess may be wrong by ten. Observed: a little after the fast
 * tenth, because the sample ran on Kling's clock and a look that comes a moment too early costs a whole interval.
 */
export function firstLookMs(context: Timing, expected: ExpectedDuration): number {
  const margin = expected.observed ? expected.p50Ms * 0.015 : 0;
  return Math.max(context.options.pollFloorMs, Math.round(expected.p10Ms + margin));
}

/**
 * From now, in ms.
 * @param ageMs since the send
 */
export function nextLookMs(context: Timing, expected: ExpectedDuration, ageMs: number): number {
  const floor = context.options.pollFloorMs;
  // The guess may be far too long, so looks begin early and grow by half the age; it may also be right, and half an age too late
  // would waste a paid slot, so they stay within a tenth of it.
  if (!expected.observed) return Math.max(floor, Math.round(Math.min(ageMs / 2, Math.max(expected.p50Ms, ageMs) / 10)));
  if (ageMs < expected.p10Ms) return Math.max(floor, Math.round(expected.p10Ms - ageMs));
  // Near the expected end every 5 % of it, or closer where tasks end at nearly the same age; a task that is long overdue is
  // looked at by its own age.
  const tight = Math.min(expected.p50Ms * 0.05, Math.max(0, expected.p99Ms - expected.p10Ms) / 4);
  return Math.max(floor, Math.round(Math.max(tight, (ageMs - expected.p99Ms) * 0.1)));
}
