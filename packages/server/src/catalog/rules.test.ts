import { describe, expect, test } from 'vitest';
import { InputError } from '../kernel/errors.ts';
import { validateRequest } from './validate.ts';

const prompt = 'a fox';

/** Pointers of the mistakes of a body; empty when it is accepted. */
function mistakes(body: unknown): readonly { readonly pointer: string; readonly detail: string }[] {
  try {
    validateRequest(body, { defaultModel: 'kling-2.6', retiredModels: 'accept', generations: null });
    return [];
  } catch (error) {
    if (error instanceof InputError) return error.data.errors ?? [];
    throw error;
  }
}

const pointers = (body: unknown): readonly string[] => mistakes(body).map(({ pointer }) => pointer);

const v3 = { prompt, model: 'kling-3.0' };
const v1 = { prompt, model: 'kling-v1' };
const camera = (config: unknown) => ({ ...v1, camera_control: { type: 'simple', config } });
const shot = { prompt: 'a fox', duration: 1 };

/** Kling's rules of text-to-video, each broken by one request; the detail must say what would be right. */
describe('every rule of Kling has a request that breaks it', () => {
  test.each([
    ['prompt is required', {}, '/prompt', /missing/],
    ['prompt is required although null may be said', { prompt: null }, '/prompt', /missing/],
    ['prompt is not blank', { prompt: '' }, '/prompt', /empty/],
    ['prompt is not blank by other means', { prompt: ' \n\t\u00a0\u200b' }, '/prompt', /empty/],
    ['prompt is text', { prompt: ['a'] }, '/prompt', /text/],
    ['prompt of 2.6 has 2500 characters', { prompt: 'w'.repeat(2501) }, '/prompt', /2501 .*kling-2\.6 is 2500/],
    ['prompt of 2.5 Turbo has 2500', { prompt: 'w'.repeat(2501), model: 'kling-2.5-turbo' }, '/prompt', /2500/],
    ['prompt of legacy models has 2500', { ...v1, prompt: 'w'.repeat(2501) }, '/prompt', /2500/],
    ['prompt of 3.0 has 3072', { ...v3, prompt: 'w'.repeat(3073) }, '/prompt', /3073 .*3072/],
    ['prompt of 3.0 Turbo has 3072', { model: 'kling-3.0-turbo', prompt: 'w'.repeat(3073) }, '/prompt', /3072/],
    ['no NUL', { prompt: 'a\u0000b' }, '/prompt', /U\+0000 at character 2/],
    ['no escape sequences', { prompt: '🦊\u001b[31m' }, '/prompt', /U\+001B at character 2/],
    ['no C1 controls', { prompt: 'a\u0085' }, '/prompt', /U\+0085/],
    ['no half surrogates', { prompt: 'a\ud83e' }, '/prompt', /surrogate/],
    ['negative prompt has 2500', { prompt, negative_prompt: 'w'.repeat(2501) }, '/negative_prompt', /2501 .*2500/],
    ['negative prompt has no NUL either', { prompt, negative_prompt: '\u0000' }, '/negative_prompt', /U\+0000/],
    [
      'negative prompt not with 3.0 Turbo',
      { prompt, model: 'kling-3.0-turbo', negative_prompt: 'w' },
      '/negative_prompt',
      /say in `prompt`/,
    ],
    ['cfg_scale from 0', { ...v1, cfg_scale: -0.1 }, '/cfg_scale', /0 to 1/],
    ['cfg_scale to 1', { ...v1, cfg_scale: 1.1 }, '/cfg_scale', /0 to 1/],
    ['cfg_scale with 1.x only', { prompt, cfg_scale: 0.5 }, '/cfg_scale', /kling-v1-6 and kling-v1/],
    ['mode is known', { prompt, mode: 'ultra' }, '/mode', /"std" \(720p\) or "pro" \(1080p\)/],
    ['4k with 3.0 only', { prompt, mode: '4k' }, '/mode', /"std" \(720p\) or "pro" \(1080p\)/],
    ['4k not with 3.0 Turbo', { prompt, model: 'kling-3.0-turbo', mode: '4k' }, '/mode', /"pro"/],
    ['2.0 Master has one mode', { prompt, model: 'kling-v2-master', mode: 'pro' }, '/mode', /single mode.*"std"/],
    ['2.1 Master has one mode', { prompt, model: 'kling-v2-1-master', mode: 'std' }, '/mode', /single mode.*"pro"/],
    ['mode is text', { prompt, mode: 1 }, '/mode', /"std"/],
    ['2.6 makes 5 or 10 s', { prompt, duration: 6 }, '/duration', /5 or 10 s/],
    ['3.0 makes 3 s at least', { ...v3, duration: 2 }, '/duration', /3 to 15 s/],
    ['3.0 makes 15 s at most', { ...v3, duration: '16' }, '/duration', /3 to 15 s/],
    ['duration is whole', { ...v3, duration: 5.5 }, '/duration', /whole seconds/],
    ['duration is a number', { prompt, duration: '5s' }, '/duration', /whole seconds/],
    ['duration is exact', { prompt, duration: -(2 ** 60) }, '/duration', /`duration` is out of range/],
    ['duration is positive', { prompt, duration: -5 }, '/duration', /5 or 10 s/],
    ['aspect ratio is one of three', { prompt, aspect_ratio: '4:3' }, '/aspect_ratio', /"16:9", "9:16" or "1:1"/],
    ['2.6 makes sound in pro only', { prompt, sound: true }, '/sound', /"pro" only/],
    ['2.6 makes sound in pro only, said aloud', { prompt, sound: 'on', mode: 'std' }, '/sound', /"pro" only/],
    ['2.5 Turbo makes no sound', { prompt, model: 'kling-2.5-turbo', sound: true }, '/sound', /kling-2\.6/],
    ['legacy models make no sound', { ...v1, sound: true }, '/sound', /leave `sound` out/],
    ['3.0 Turbo always makes sound', { prompt, model: 'kling-3.0-turbo', sound: false }, '/sound', /always/],
    ['sound is a choice of two', { prompt, sound: 'maybe' }, '/sound', /true or false/],
    ['multi-shot with 3.0 only', { prompt, multi_shot: true }, '/multi_shot', /kling-3\.0/],
    ['shots with 3.0 only', { shots: [{ prompt, duration: 5 }] }, '/shots', /kling-3\.0/],
    [
      '3.0 Turbo does not cut by itself',
      { prompt, model: 'kling-3.0-turbo', multi_shot: true },
      '/multi_shot',
      /`shots`/,
    ],
    ['customize needs shots', { ...v3, multi_shot: 'customize' }, '/multi_shot', /needs `shots`/],
    [
      'shots are not denied',
      { model: 'kling-3.0', multi_shot: false, shots: [{ ...shot, duration: 5 }] },
      '/multi_shot',
      /contradicts/,
    ],
    [
      'shots are not left to Kling',
      { model: 'kling-3.0', multi_shot: 'intelligence', shots: [{ ...shot, duration: 5 }] },
      '/multi_shot',
      /contradicts/,
    ],
    ['shots replace the prompt', { ...v3, shots: [{ ...shot, duration: 5 }] }, '/prompt', /ignores `prompt`/],
    ['one shot at least', { model: 'kling-3.0', shots: [] }, '/shots', /1 to 6/],
    ['six shots at most', { model: 'kling-3.0', shots: Array.from({ length: 7 }, () => shot) }, '/shots', /1 to 6/],
    [
      'words of a shot have 512 characters',
      { model: 'kling-3.0', shots: [{ prompt: 'w'.repeat(513), duration: 5 }] },
      '/shots/0/prompt',
      /512 .*513/,
    ],
    [
      'words of a shot are not blank',
      { model: 'kling-3.0', shots: [{ prompt: ' ', duration: 5 }] },
      '/shots/0/prompt',
      /empty/,
    ],
    [
      'words of a shot have no NUL',
      { model: 'kling-3.0', shots: [{ prompt: '\u0000a', duration: 5 }] },
      '/shots/0/prompt',
      /U\+0000/,
    ],
    [
      'a shot lasts 1 s at least',
      { model: 'kling-3.0', shots: [{ prompt, duration: 0 }] },
      '/shots/0/duration',
      /1 or more/,
    ],
    ['shots add up', { model: 'kling-3.0', duration: 6, shots: [{ prompt, duration: 5 }] }, '/shots', /last 5 s.*6/],
    ['shots add up to what the model makes', { model: 'kling-3.0', shots: [shot, shot] }, '/shots', /3 to 15 s/],
    ['camera control with 1.0 only', { prompt, camera_control: { type: 'down_back' } }, '/camera_control', /kling-v1/],
    [
      'camera control in std only',
      { ...v1, mode: 'pro', camera_control: { type: 'down_back' } },
      '/camera_control',
      /"std" with 5 s/,
    ],
    [
      'camera control with 5 s only',
      { ...v1, duration: 10, camera_control: { type: 'down_back' } },
      '/camera_control',
      /"std" with 5 s/,
    ],
    ['camera type is known', { ...v1, camera_control: { type: 'orbit' } }, '/camera_control/type', /"simple"/],
    [
      'a preset has no axes',
      { ...v1, camera_control: { type: 'down_back', config: { pan: 1 } } },
      '/camera_control/config',
      /"simple" only/,
    ],
    ['simple needs an axis', { ...v1, camera_control: { type: 'simple' } }, '/camera_control/config', /exactly one/],
    ['simple needs an axis that moves', camera({ pan: 0 }), '/camera_control/config', /exactly one/],
    ['simple has one axis only', camera({ pan: 1, zoom: 2 }), '/camera_control/config', /it has 2/],
    ['an axis ends at 10', camera({ pan: 10.5 }), '/camera_control/config/pan', /-10 to 10/],
    ['an axis begins at -10', camera({ tilt: -11 }), '/camera_control/config/tilt', /-10 to 10/],
    ['watermark is a choice of two', { prompt, watermark: 'yes' }, '/watermark', /true or false/],
  ])('%s', (_rule, body, pointer, detail) => {
    expect(mistakes(body)).toEqual([{ pointer, detail: expect.stringMatching(detail) }]);
  });
});

describe('so has every rule of ours', () => {
  const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));

  test.each([
    ['16 pairs', { metadata: pairs(17) }, '/metadata'],
    ['text values', { metadata: { a: 1 } }, '/metadata/a'],
    ['an object', { metadata: ['a'] }, '/metadata'],
    ['keys of 64 characters', { metadata: { ['k'.repeat(65)]: 'v' } }, `/metadata/${'k'.repeat(65)}`],
    ['keys of 1 character', { metadata: { '': 'v' } }, '/metadata/'],
    ['values of 512 characters', { metadata: { a: 'v'.repeat(513) } }, '/metadata/a'],
    ['values without NUL', { metadata: { a: '\u0000' } }, '/metadata/a'],
    ['keys without NUL', { metadata: { 'a\u0000': 'v' } }, '/metadata/a\u0000'],
    ['keys that can be copied', { metadata: JSON.parse('{"__proto__": "v"}') }, '/metadata/__proto__'],
    ['priority to 10', { priority: 11 }, '/priority'],
    ['priority from -10', { priority: -11 }, '/priority'],
    ['whole priority', { priority: 0.5 }, '/priority'],
    ['a webhook that is a URL', { webhook_url: 'studio.example/hook' }, '/webhook_url'],
    ['a webhook with TLS', { webhook_url: 'http://studio.example/hook' }, '/webhook_url'],
    ['a webhook with TLS in a private network too', { webhook_url: 'http://10.0.0.1/hook' }, '/webhook_url'],
    ['a webhook that only looks local', { webhook_url: 'http://localhost.studio.example/' }, '/webhook_url'],
    ['a webhook without a password', { webhook_url: 'https://user:secret@studio.example/' }, '/webhook_url'],
    ['a webhook of 2048 characters', { webhook_url: `https://x.example/${'h'.repeat(2048)}` }, '/webhook_url'],
    ['a time with zone', { start_before: '2030-01-31T18:00:00' }, '/start_before'],
    ['a time that exists', { start_before: '2030-02-30T18:00:00Z' }, '/start_before'],
    ['a time of our age', { start_before: '9999-12-31T23:59:59-23:00' }, '/start_before'],
    ['a model as text', { model: 26 }, '/model'],
    ['a known model', { model: '' }, '/model'],
  ])('%s', (_rule, body, pointer) => {
    expect(pointers({ prompt, ...body })).toEqual([pointer]);
  });

  test('a start_before that has passed', () => {
    const options = { defaultModel: 'kling-2.6', retiredModels: 'accept', generations: null } as const;
    const body = { prompt, start_before: '2026-01-01T00:00:00Z' };
    const at = Date.parse('2026-01-01T00:00:00Z');
    expect(() => validateRequest(body, { ...options, nowMs: at })).toThrow(/passed/);
    expect(validateRequest(body, { ...options, nowMs: at - 1 }).extras.startBefore).toBe('2026-01-01T00:00:00.000Z');
  });
});

/** Kling's capability map, retyped: what each model takes besides prompt, ratio and watermark. */
const capabilities: Readonly<Record<string, readonly string[]>> = {
  'kling-3.0-turbo': ['std', 'pro', '3', '15', 'sound', 'shots'],
  'kling-3.0': [
    'std',
    'pro',
    '4k',
    '3',
    '15',
    'silent',
    'sound',
    'sound in pro',
    'shots',
    'multi_shot',
    'negative_prompt',
  ],
  'kling-2.6': ['std', 'pro', 'silent', 'sound in pro', 'negative_prompt'],
  'kling-2.5-turbo': ['std', 'pro', 'silent', 'negative_prompt'],
  'kling-v2-1-master': ['pro', 'silent', 'negative_prompt'],
  'kling-v2-master': ['std', 'silent', 'negative_prompt'],
  'kling-v1-6': ['std', 'pro', 'silent', 'negative_prompt', 'cfg_scale'],
  'kling-v1': ['std', 'pro', 'silent', 'negative_prompt', 'cfg_scale', 'camera_control'],
};

const probes: Readonly<Record<string, object>> = {
  std: { prompt, mode: 'std' },
  pro: { prompt, mode: 'pro' },
  '4k': { prompt, mode: '4k' },
  '3': { prompt, duration: 3 },
  '15': { prompt, duration: 15 },
  silent: { prompt, sound: false },
  sound: { prompt, sound: true },
  'sound in pro': { prompt, sound: true, mode: 'pro' },
  shots: { shots: [{ prompt, duration: 5 }] },
  multi_shot: { prompt, multi_shot: true },
  negative_prompt: { prompt, negative_prompt: 'rain' },
  cfg_scale: { prompt, cfg_scale: 0.5 },
  camera_control: { prompt, camera_control: { type: 'simple', config: { roll: 1 } } },
};

describe('the capability map', () => {
  test.each(Object.entries(capabilities))('%s takes what Kling says, and nothing else', (model, expected) => {
    const taken = Object.keys(probes).filter((name) => pointers({ model, ...probes[name] }).length === 0);
    const alsoInPro = model === 'kling-3.0-turbo' ? ['sound in pro'] : [];
    expect(taken.toSorted()).toEqual([...expected, ...alsoInPro].toSorted());
    for (const ratio of ['16:9', '9:16', '1:1']) expect(pointers({ prompt, model, aspect_ratio: ratio })).toEqual([]);
    for (const seconds of [5, 10]) expect(pointers({ prompt, model, duration: seconds })).toEqual([]);
  });
});
