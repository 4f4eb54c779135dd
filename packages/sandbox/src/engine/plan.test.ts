import { expect, test } from 'vitest';
import { createClock } from '../clock.ts';
import { resolveOptions, type SandboxOptions } from '../options.ts';
import { planTask } from './plan.ts';

const order = {
  generation: 'standard',
  version: 'kling-2.6',
  modelName: 'kling-2.6',
  prompt: 'fox',
  level: 'std',
  durationSeconds: 5,
  aspectRatio: '16:9',
  sound: false,
  voice: false,
  watermark: false,
} as const;

/** How long each of 200 tasks takes. */
function times(options: SandboxOptions): number[] {
  const settings = resolveOptions(options);
  const common = { id: '1', accountId: 'a', order, faults: [], nowMs: 0 };
  return Array.from(
    { length: 200 },
    (_, ordinal) => planTask({ ...common, ordinal }, settings, createClock(1)).endsAtMs ?? 0,
  );
}

test('tasks of a given time may be spread around it, alike for the same seed', () => {
  expect(new Set(times({ taskMs: 2_000 }))).toEqual(new Set([2_000]));
  const spread = times({ taskMs: 2_000, taskSpread: 0.25 });
  expect(Math.min(...spread)).toBeGreaterThanOrEqual(1_500);
  expect(Math.min(...spread)).toBeLessThan(1_550);
  expect(Math.max(...spread)).toBeLessThanOrEqual(2_500);
  expect(Math.max(...spread)).toBeGreaterThan(2_450);
  expect(times({ taskMs: 2_000, taskSpread: 0.25 })).toEqual(spread);
  expect(times({ taskMs: 2_000, taskSpread: 0.25, seed: 2 })).not.toEqual(spread);
});
