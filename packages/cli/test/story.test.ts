import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { judge, percentile, refillGapsMs, utilisation, type Measured } from '../src/story/measure.ts';
import { parseStory } from '../src/story/options.ts';
import { createTestIo } from './test-io.ts';

const task = (created: number, ended: number) => ({ created_at: created, updated_at: ended, status: 'succeeded' });

test('utilisation counts slot time only while work waits', () => {
  const full = [task(0, 100), task(0, 100), task(100, 200), task(100, 900)];
  expect(utilisation(full, 2)).toBe(1);
  const late = [task(0, 100), task(0, 100), task(150, 250), task(150, 250)];
  expect(utilisation(late, 2)).toBeCloseTo(100 / 150);
  expect(utilisation([task(0, 100)], 2)).toBe(1);
});

test('each freed slot is matched with the create that filled it', () => {
  const tasks = [task(0, 100), task(0, 120), task(110, 200), task(150, 250)];
  expect(refillGapsMs(tasks, 2)).toEqual([10, 30]);
  expect(percentile([1, 2, 3, 4], 0.5)).toBe(3);
  expect(percentile([], 0.95)).toBe(0);
});

const good: Measured = {
  videos: 60,
  slots: 3,
  completed: 60,
  creates: 60,
  createsPerExternalId: 1,
  refused1303: 0,
  maxInFlight: 3,
  utilisation: 0.96,
  refillMs: { p50: 10, p95: 20 },
  callsPerVideo: 2,
  heldCredits: 0,
  chargedCredits: 0.1 + 0.2,
  capturedCredits: 0.3,
  deductedUnits: 0.3,
  seconds: 40,
};

test.each<Partial<Measured>>([
  { completed: 59 },
  { creates: 61 },
  { createsPerExternalId: 2 },
  { refused1303: 1 },
  { maxInFlight: 4 },
  { maxInFlight: 2 },
  { utilisation: 0.949 },
  { heldCredits: 1.5 },
  { capturedCredits: 0.4 },
  { deductedUnits: 0.2 },
])('a story with %o is not as it must be', (wrong) => {
  expect(judge(good, 0.95).every((check) => check.ok)).toBe(true);
  expect(judge({ ...good, ...wrong }, 0.95).filter((check) => !check.ok)).toHaveLength(1);
});

test('fewer videos than slots can only fill as many slots', () => {
  const few = { ...good, videos: 2, completed: 2, creates: 2, maxInFlight: 2 };
  expect(judge(few, 0.95).every((check) => check.ok)).toBe(true);
});

test('a tier makes the slots, and wrong options are refused by name', () => {
  const io = createTestIo();
  expect(parseStory(['--tier', 'pro'], io)).toMatchObject({ slots: 5, tier: 'pro', videos: 60, callbacks: 'on' });
  expect(parseStory(['--slots', '7', '--callbacks', 'lost'], io)).toMatchObject({
    slots: 7,
    tier: null,
    callbacks: 'lost',
  });
  expect(() => parseStory(['--slots', '0'], io)).toThrow(CommanderError);
  expect(() => parseStory(['--tier', 'pro', '--slots', '3'], io)).toThrow(/cannot be used with/);
  expect(() => parseStory(['--generation', 'v3'], io)).toThrow(/Allowed choices/);
});
