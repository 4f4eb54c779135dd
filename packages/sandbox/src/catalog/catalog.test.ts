import { expect, test } from 'vitest';
import { generationTime } from './generation-time.ts';
import { findLegacyModel, findStandardModel, getModel, type Level, models } from './models.ts';
import { priceOf, unitsText } from './prices.ts';
import { durationText, framesOf, pictureOf } from './shape.ts';

const squareSides = { '720p': 960, '1080p': 1440, '4k': 2880 };

test.each<[string, Level, number, boolean, string]>([
  ['kling-3.0-turbo', 'std', 3, true, '2.4'],
  ['kling-3.0-turbo', 'pro', 15, true, '15'],
  ['kling-3.0', 'std', 3, false, '1.8'],
  ['kling-3.0', 'pro', 10, false, '8'],
  ['kling-3.0', 'std', 5, true, '4.5'],
  ['kling-3.0', 'pro', 3, true, '3.6'],
  ['kling-3.0', '4k', 15, true, '45'],
  ['kling-2.6', 'std', 5, false, '1.5'],
  ['kling-2.6', 'pro', 5, false, '2.5'],
  ['kling-2.6', 'pro', 10, true, '10'],
  ['kling-2.5-turbo', 'pro', 10, false, '5'],
  ['kling-v1', 'std', 5, false, '1'],
  ['kling-v1', 'pro', 5, false, '3.5'],
  ['kling-v1-6', 'std', 10, false, '4'],
  ['kling-v2-master', 'std', 10, false, '20'],
])('%s %s %d s, sound %s costs %s', (version, level, seconds, sound, units) => {
  expect(unitsText(priceOf(getModel(version), level, seconds, sound))).toBe(units);
});

test('every variant that a model offers has a price', () => {
  for (const model of models) {
    for (const level of model.levels) {
      if (model.sound !== 'always') expect(priceOf(model, level, 5, false)).toBeGreaterThan(0);
      if (model.sound === 'any' || model.sound === 'always' || (model.sound === 'pro' && level === 'pro')) {
        expect(priceOf(model, level, 5, true)).toBeGreaterThan(0);
      }
    }
  }
});

test.each([
  ['kling-2.6', 5, 121, '5.041'],
  ['kling-2.6', 10, 241, '10.041'],
  ['kling-3.0', 3, 73, '3.041'],
  ['kling-v1', 5, 153, '5.1'],
])('%s %d s is %d frames, stated as %s', (version, seconds, frames, text) => {
  expect(framesOf(getModel(version), seconds)).toBe(frames);
  expect(durationText(getModel(version), seconds)).toBe(text);
});

test('pictures have the nominal sizes', () => {
  const model = getModel('kling-3.0');
  expect(pictureOf(model, 'std', '16:9', squareSides)).toEqual({ width: 1280, height: 720 });
  expect(pictureOf(model, 'pro', '9:16', squareSides)).toEqual({ width: 1080, height: 1920 });
  expect(pictureOf(model, '4k', '16:9', squareSides)).toEqual({ width: 3840, height: 2160 });
  expect(pictureOf(model, 'pro', '1:1', squareSides)).toEqual({ width: 1440, height: 1440 });
  expect(pictureOf(getModel('kling-v1'), 'pro', '16:9', squareSides)).toEqual({ width: 1280, height: 720 });
});

test('both names of a version lead to the same model', () => {
  expect(findLegacyModel('kling-v2-6')).toBe(findStandardModel('kling-2.6'));
  expect(findLegacyModel('kling-v3')).toBe(findStandardModel('kling-3.0'));
  expect(findLegacyModel('kling-3.0-turbo')).toBeUndefined();
  expect(findStandardModel('kling-v2-master')).toBeUndefined();
});

test('usual clips take 23 to 105 seconds, the same for the same seed', () => {
  for (const model of models) {
    const level = model.levels[0] ?? 'std';
    const order = { model, level, durationSeconds: 5, sound: model.sound === 'always' };
    const time = generationTime(order, 1, 'a');
    expect(time.totalMs).toBeGreaterThan(23_000);
    expect(time.totalMs).toBeLessThan(105_000);
    expect(time.submittedMs).toBeGreaterThanOrEqual(1_000);
    expect(time.submittedMs).toBeLessThanOrEqual(10_000);
    expect(generationTime(order, 1, 'a')).toEqual(time);
    expect(generationTime(order, 2, 'a')).not.toEqual(time);
  }
});
