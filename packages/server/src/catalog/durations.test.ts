import { describe, expect, test } from 'vitest';
import { clipFacts, expectedGenerationMs } from './durations.ts';
import { modelIds } from './models.ts';
import { validateRequest } from './validate.ts';

function request(body: object) {
  const options = { defaultModel: 'kling-2.6', retiredModels: 'accept', generations: null } as const;
  return validateRequest({ prompt: 'a fox', ...body }, options).request;
}

describe('the picture that Kling should deliver', () => {
  test.each([
    [{}, { width: 1280, height: 720, framesPerSecond: 24, frames: 121 }],
    [
      { mode: 'pro', duration: 10 },
      { width: 1920, height: 1080, framesPerSecond: 24, frames: 241 },
    ],
    [
      { aspect_ratio: '9:16', mode: 'pro' },
      { width: 1080, height: 1920, framesPerSecond: 24, frames: 121 },
    ],
    [{ aspect_ratio: '1:1' }, { width: 960, height: 960, framesPerSecond: 24, frames: 121 }],
    [
      { model: 'kling-3.0', mode: '4k', duration: 3 },
      { width: 3840, height: 2160, framesPerSecond: 24, frames: 73 },
    ],
    [
      { model: 'kling-v1', mode: 'pro' },
      { width: 1280, height: 720, framesPerSecond: 30, frames: 151 },
    ],
    [
      { model: 'kling-v1-6', mode: 'pro' },
      { width: 1920, height: 1080, framesPerSecond: 24, frames: 121 },
    ],
    [{ model: 'kling-v2-master' }, { width: 1280, height: 720, framesPerSecond: 24, frames: 121 }],
    [{ model: 'kling-v2-1-master' }, { width: 1920, height: 1080, framesPerSecond: 24, frames: 121 }],
  ])('%j', (body, facts) => {
    expect(clipFacts(request(body))).toEqual(facts);
  });
});

describe('how long Kling probably takes', () => {
  test.each([
    [{ model: 'kling-3.0-turbo', duration: 3 }, 28_000],
    [{ model: 'kling-3.0', duration: 3 }, 83_000],
    [{ model: 'kling-2.6', mode: 'pro', sound: true }, 90_000],
    [{ model: 'kling-2.5-turbo' }, 34_000],
    [{ model: 'kling-v2-master' }, 319_000],
  ])('%j meets the published sample', (body, ms) => {
    expect(expectedGenerationMs(request(body))).toBe(ms);
  });

  test.each(modelIds())('%s: a longer clip takes longer', (model) => {
    expect(expectedGenerationMs(request({ model, duration: 10 }))).toBeGreaterThan(
      expectedGenerationMs(request({ model, duration: 5 })),
    );
  });
});
