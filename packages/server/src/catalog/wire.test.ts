import { describe, expect, test } from 'vitest';
import type { Generation } from './request.ts';
import { validateRequest } from './validate.ts';
import { generationFor, packType, toWire } from './wire.ts';

const ids = { externalTaskId: 'att_1', callbackUrl: 'https://dailies.example/hooks/1' };

function request(body: object) {
  const options = { defaultModel: 'kling-2.6', retiredModels: 'accept', generations: null } as const;
  return validateRequest({ prompt: 'a fox', ...body }, options).request;
}

const shots = [
  { prompt: 'a fox wakes, yawning', duration: 2 },
  { prompt: 'it runs', duration: 3 },
];

describe('standard generation', () => {
  const options = { external_task_id: ids.externalTaskId, callback_url: ids.callbackUrl };
  const settings = { resolution: '720p', aspect_ratio: '16:9', duration: 5 };

  test.each([
    ['defaults', {}, 'kling-2.6', { prompt: 'a fox', settings: { ...settings, audio: 'off' }, options }],
    [
      'every choice',
      { mode: 'pro', duration: '10', aspect_ratio: '9:16', sound: 'on', watermark: true },
      'kling-2.6',
      {
        prompt: 'a fox',
        settings: { resolution: '1080p', aspect_ratio: '9:16', duration: 10, audio: 'native' },
        options: { ...options, watermark_info: { enabled: true } },
      },
    ],
    [
      'no sound field where there is no sound',
      { model: 'kling-2.5-turbo' },
      'kling-2.5-turbo',
      { prompt: 'a fox', settings, options },
    ],
    [
      'no sound field where it is always on',
      { model: 'kling-3.0-turbo' },
      'kling-3.0-turbo',
      { prompt: 'a fox', settings, options },
    ],
    [
      '4k; multi-shot is said to be off, as the default of Kling is on',
      { model: 'kling-3.0', mode: '4k' },
      'kling-3.0',
      { prompt: 'a fox', settings: { ...settings, resolution: '4k', audio: 'off', multi_shot: false }, options },
    ],
    [
      'multi-shot by Kling',
      { model: 'kling-3.0', multi_shot: true },
      'kling-3.0',
      { prompt: 'a fox', settings: { ...settings, audio: 'off', multi_shot: true }, options },
    ],
    [
      'shots as grammar',
      { model: 'kling-3.0', prompt: undefined, shots },
      'kling-3.0',
      {
        prompt: 'shot 1, 2, a fox wakes, yawning; shot 2, 3, it runs;',
        settings: { ...settings, audio: 'off', multi_shot: true },
        options,
      },
    ],
    [
      'shots of 3.0 Turbo, which has no field for them',
      { model: 'kling-3.0-turbo', prompt: undefined, shots },
      'kling-3.0-turbo',
      { prompt: 'shot 1, 2, a fox wakes, yawning; shot 2, 3, it runs;', settings, options },
    ],
  ])('%s', (_name, body, model, expected) => {
    expect(toWire(request(body), 'standard', ids)).toEqual({ path: `/text-to-video/${model}`, body: expected });
  });

  test('without a receiver no callback is asked for', () => {
    const { body } = toWire(request({}), 'standard', { ...ids, callbackUrl: null });
    expect(body['options']).toEqual({ external_task_id: 'att_1' });
  });
});

describe('legacy generation', () => {
  const common = {
    prompt: 'a fox',
    mode: 'std',
    aspect_ratio: '16:9',
    duration: '5',
    external_task_id: ids.externalTaskId,
    callback_url: ids.callbackUrl,
  };
  const { mode: _mode, ...modeless } = common;
  const { prompt: _prompt, ...promptless } = common;

  test.each([
    ['defaults', {}, { ...common, model_name: 'kling-v2-6', sound: 'off' }],
    [
      'every choice',
      { mode: 'pro', duration: 10, aspect_ratio: '1:1', sound: true, negative_prompt: 'snow', watermark: true },
      {
        ...common,
        model_name: 'kling-v2-6',
        mode: 'pro',
        duration: '10',
        aspect_ratio: '1:1',
        sound: 'on',
        negative_prompt: 'snow',
        watermark_info: { enabled: true },
      },
    ],
    [
      'a model with one mode is sent none',
      { model: 'kling-v2-master', mode: 'standard' },
      { ...modeless, model_name: 'kling-v2-master' },
    ],
    [
      'the same for the pro one',
      { model: 'kling-v2-1-master', mode: 'pro' },
      { ...modeless, model_name: 'kling-v2-1-master' },
    ],
    ['cfg_scale', { model: 'kling-v1-6', cfg_scale: 0.7 }, { ...common, model_name: 'kling-v1-6', cfg_scale: 0.7 }],
    [
      'camera preset',
      { model: 'kling-v1', camera_control: { type: 'down_back' } },
      { ...common, model_name: 'kling-v1', cfg_scale: 0.5, camera_control: { type: 'down_back' } },
    ],
    [
      'camera axis',
      { model: 'kling-v1', camera_control: { type: 'simple', config: { zoom: -3.5, pan: 0 } } },
      {
        ...common,
        model_name: 'kling-v1',
        cfg_scale: 0.5,
        camera_control: { type: 'simple', config: { zoom: -3.5, pan: 0 } },
      },
    ],
    [
      'no sound field where there is no sound',
      { model: 'kling-2.5-turbo' },
      { ...common, model_name: 'kling-v2-5-turbo' },
    ],
    [
      'multi-shot by Kling',
      { model: 'kling-3.0', multi_shot: 'intelligence' },
      { ...common, model_name: 'kling-v3', sound: 'off', multi_shot: true, shot_type: 'intelligence' },
    ],
    [
      'shots as a list counted from 1',
      { model: 'kling-3.0', prompt: undefined, shots },
      {
        ...promptless,
        model_name: 'kling-v3',
        sound: 'off',
        multi_shot: true,
        shot_type: 'customize',
        multi_prompt: [
          { index: 1, prompt: 'a fox wakes, yawning', duration: '2' },
          { index: 2, prompt: 'it runs', duration: '3' },
        ],
      },
    ],
  ])('%s', (_name, body, expected) => {
    expect(toWire(request(body), 'legacy', ids)).toEqual({ path: '/v1/videos/text2video', body: expected });
  });
});

describe('the choice of generation', () => {
  const both: readonly Generation[] = ['legacy', 'standard'];
  const longShots = Array.from({ length: 6 }, () => ({ prompt: 'w'.repeat(512), duration: 2 }));

  test.each([
    ['standard where it takes everything', {}, both, 'standard'],
    ['legacy where only that is available', {}, ['legacy'], 'legacy'],
    ['legacy for a negative prompt', { negative_prompt: 'snow' }, both, 'legacy'],
    ['legacy for a model that only it has', { model: 'kling-v1' }, both, 'legacy'],
    ['standard for 3.0 Turbo', { model: 'kling-3.0-turbo' }, both, 'standard'],
    ['none for 3.0 Turbo without an API key', { model: 'kling-3.0-turbo' }, ['legacy'], undefined],
    ['standard for a long prompt', { model: 'kling-3.0', prompt: 'w'.repeat(2501) }, both, 'standard'],
    [
      'legacy for shots that the grammar would cut in two',
      { model: 'kling-3.0', prompt: undefined, shots: [{ prompt: 'a; b', duration: 5 }] },
      both,
      'legacy',
    ],
    [
      'legacy for shots that are too long as one text',
      { model: 'kling-3.0', prompt: undefined, shots: longShots },
      both,
      'legacy',
    ],
    ['none without any', {}, [], undefined],
  ] as const)('%s', (_name, body, available, expected) => {
    expect(generationFor(request(body), available)).toBe(expected);
  });

  test('a request is never sent through a generation that would drop a part of it', () => {
    expect(() => toWire(request({ negative_prompt: 'snow' }), 'standard', ids)).toThrow('cannot carry');
    expect(() => toWire(request({ model: 'kling-3.0-turbo' }), 'legacy', ids)).toThrow('cannot carry');
  });
});

test('every video draws on the video pack', () => {
  expect(packType).toBe('video');
});
