import { describe, expect, onTestFinished, test } from 'vitest';
import { startSandbox } from '../src/index.ts';
import { createClient, ended, type Json, legacyPath, openSandbox } from './harness.ts';

const v26 = { model_name: 'kling-v2-6', prompt: 'fox' };
const v3 = { model_name: 'kling-v3', prompt: 'fox' };
const shots = (...durations: string[]) =>
  durations.map((duration, position) => ({ index: position + 1, prompt: `shot ${position + 1}`, duration }));
const camera = (cameraControl: object) => ({ model_name: 'kling-v1', prompt: 'fox', camera_control: cameraControl });

describe('legacy requests that are refused', () => {
  test.each<[Json, number, RegExp]>([
    [{ ...v26, prompt: undefined }, 1201, /^prompt cannot be empty$/],
    [{ ...v26, prompt: 5 }, 1201, /^prompt value type is invalid, expected string$/],
    [{ ...v26, prompt: 'x'.repeat(2501) }, 1201, /^prompt length cannot exceed 2500$/],
    [{ ...v26, negative_prompt: 'x'.repeat(2501) }, 1201, /^negative_prompt length cannot exceed 2500$/],
    [{ ...v26, duration: 5 }, 1201, /^duration value type is invalid, expected string$/],
    [{ ...v26, duration: '7' }, 1201, /^duration value '7' is invalid$/],
    [{ ...v26, mode: 'standard' }, 1201, /^mode value 'standard' is invalid$/],
    [{ ...v26, mode: '4k' }, 1201, /^mode value '4k' is invalid$/],
    [{ ...v26, aspect_ratio: '4:3' }, 1201, /^aspect_ratio value '4:3' is invalid$/],
    [{ ...v26, sound: true }, 1201, /^sound value type is invalid/],
    [{ ...v26, cfg_scale: 2 }, 1201, /^cfg_scale value '2' is invalid$/],
    [
      { ...v26, multi_shot: true, shot_type: 'intelligence' },
      1201,
      /\(kling-v2-6\/std\/5\) is not supported with multi_shot$/,
    ],
    [{ ...v26, model_name: 'kling-v2.6' }, 1203, /kling-v2.6/],
    [{ ...v26, model_name: 'kling-3.0-turbo' }, 1203, /kling-3.0-turbo/],
    [{ ...v26, model_name: 'kling-v1-5' }, 1201, /^model is not supported$/],
    [{ ...v26, camera_control: { type: 'down_back' } }, 1201, /not supported with camera_control$/],
    [camera({ type: 'zoomy' }), 1201, /camera_control.type/],
    [camera({ type: 'simple' }), 1201, /config is required/],
    [camera({ type: 'simple', config: { pan: 1, tilt: 2 } }), 1201, /exactly one non-zero/],
    [camera({ type: 'simple', config: { pan: 11 } }), 1201, /config.pan value '11' is invalid/],
    [camera({ type: 'down_back', config: { pan: 1 } }), 1201, /only supported with type 'simple'/],
    [{ ...v3, multi_shot: true }, 1201, /shot_type/],
    [{ ...v3, multi_shot: true, shot_type: 'customize', multi_prompt: shots('2', '2') }, 1201, /must add up/],
    [
      { ...v3, multi_shot: true, shot_type: 'customize', multi_prompt: [{ index: 0, prompt: 'x', duration: '5' }] },
      1201,
      /index/,
    ],
    [{ ...v3, sound: 'on', voice_list: [{}, {}, {}] }, 1201, /voice_list cannot exceed 2/],
    [{ ...v3, voice_list: [{ voice_id: '1' }] }, 1201, /voice_list/],
    [['not', 'an', 'object'], 1200, /./],
  ])('%j', async (body, code, message) => {
    const client = await openSandbox();
    const answer = await client.post(legacyPath, body);
    expect(answer.body).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(client.sandbox.stats()).toMatchObject({ creates_accepted: 0, creates_refused: { [code]: 1 } });
  });
});

describe('legacy requests that are taken', () => {
  test.each<[Json, string, string]>([
    [{ prompt: 'fox' }, 'kling-v1', '1'],
    [{ model: 'kling-v2-6', prompt: 'fox' }, 'kling-v1', '1'],
    [{ ...v26, prompt: '🦊'.repeat(2500) }, 'kling-2.6', '1.5'],
    [{ ...v26, mode: 'pro', sound: 'on', duration: '10' }, 'kling-2.6', '10'],
    [{ ...v26, mode: 'pro', sound: 'on', voice_list: [{ voice_id: '1' }] }, 'kling-2.6', '6'],
    [{ ...v26, cfg_scale: 0.5, unknown_field: 1 }, 'kling-2.6', '1.5'],
    [{ model_name: 'kling-v2-master', prompt: 'fox', mode: 'std' }, 'kling-v2-master', '10'],
    [{ model_name: 'kling-v2-1-master', prompt: 'fox', mode: 'pro', duration: '10' }, 'kling-v2-1-master', '20'],
    [{ ...v3, mode: '4k', duration: '3' }, 'kling-3.0', '9'],
    [
      { ...v3, multi_shot: true, shot_type: 'customize', multi_prompt: shots('2', '3'), prompt: undefined },
      'kling-3.0',
      '3',
    ],
    [{ ...v3, multi_shot: true, shot_type: 'intelligence', sound: 'on' }, 'kling-3.0', '4.5'],
    [camera({ type: 'simple', config: { pan: 0, zoom: -10 } }), 'kling-v1', '1'],
  ])('%j', async (body, model, units) => {
    const client = await openSandbox();
    const answer = await client.post(legacyPath, body);
    expect(answer.body.code, answer.text).toBe(0);
    expect((await client.get('/_sandbox/tasks')).body[0]).toMatchObject({ model, units });
  });
});

describe('standard requests that are refused', () => {
  test.each<[string, Json, RegExp]>([
    ['kling-3.0', {}, /^prompt cannot be empty$/],
    ['kling-3.0', { prompt: 'x'.repeat(3073) }, /^prompt length cannot exceed 3072$/],
    ['kling-2.6', { prompt: 'x'.repeat(2501) }, /^prompt length cannot exceed 2500$/],
    ['kling-3.0', { prompt: 'x', settings: [] }, /^settings value type is invalid, expected object$/],
    ['kling-3.0', { prompt: 'x', settings: { aspect_ratio: '4:3' } }, /^settings.aspect_ratio value '4:3' is invalid$/],
    ['kling-2.6', { prompt: 'x', settings: { resolution: '4k' } }, /^settings.resolution value '4k' is invalid$/],
    ['kling-3.0', { prompt: 'x', settings: { resolution: '8k' } }, /^settings.resolution value '8k' is invalid$/],
    ['kling-3.0', { prompt: 'x', settings: { duration: 'five' } }, /^settings.duration value 'five' is invalid$/],
    ['kling-3.0', { prompt: 'x', settings: { duration: 2.5 } }, /^settings.duration value '2.5' is invalid$/],
    ['kling-2.5-turbo', { prompt: 'x', settings: { audio: 'native' } }, /^audio mode 'native' is not supported by/],
    ['kling-2.6', { prompt: 'x', settings: { audio: 'native' } }, /1080p/],
    ['kling-v2-6', { prompt: 'x' }, /^model is not supported$/],
  ])('%s %j', async (model, body, message) => {
    const client = await openSandbox();
    const answer = await client.post(`/text-to-video/${model}`, body);
    expect(answer.body).toMatchObject({ code: 1201, message: expect.stringMatching(message) });
  });
});

describe('standard requests that are taken', () => {
  test.each<[string, Json, string]>([
    ['kling-3.0-turbo', { prompt: 'x', settings: { duration: 3 } }, '2.4'],
    ['kling-3.0-turbo', { prompt: 'x', settings: { resolution: '1080p', audio: 'off' } }, '5'],
    ['kling-3.0', { prompt: 'x', settings: { audio: 'native', resolution: '1080p', duration: '15' } }, '18'],
    ['kling-2.6', { prompt: 'x', settings: { audio: 'native', resolution: '1080p' } }, '5'],
    ['kling-2.5-turbo', { prompt: 'x', settings: { duration: 10 } }, '3'],
    ['kling-3.0', { contents: [{ type: 'prompt', text: 'x' }] }, '3'],
    ['kling-3.0', { prompt: 'x', duration: 15, callback_url: 'http://ignored' }, '3'],
    ['kling-3.0', { prompt: 'x', settings: { duration: 20 } }, '12'],
  ])('%s %j', async (model, body, units) => {
    const client = await openSandbox();
    const answer = await client.post(`/text-to-video/${model}`, body);
    expect(answer.body.code, answer.text).toBe(0);
    expect((await client.get('/_sandbox/tasks')).body[0]).toMatchObject({ units, callback_url: null });
  });
});

describe('a strict sandbox refuses what the live service lets pass', () => {
  test.each<[string, Json]>([
    [legacyPath, { ...v26, unknown_field: 1 }],
    [legacyPath, { ...v26, cfg_scale: 0.5 }],
    [legacyPath, { model_name: 'kling-v2-master', prompt: 'x', mode: 'std' }],
    ['/text-to-video/kling-3.0', { prompt: 'x', callback_url: 'http://x' }],
    ['/text-to-video/kling-3.0', { prompt: 'x', settings: { fps: 60 } }],
    ['/text-to-video/kling-3.0', { prompt: 'x', settings: { duration: 20 } }],
    ['/text-to-video/kling-2.6', { prompt: 'x', settings: { duration: 7 } }],
    ['/text-to-video/kling-3.0-turbo', { prompt: 'x', settings: { audio: 'off' } }],
  ])('%s %j', async (path, body) => {
    const strict = await openSandbox({ strict: true });
    expect(await strict.post(path, body)).toMatchObject({ status: 400, body: { code: 1201 } });
    const live = await openSandbox();
    expect((await live.post(path, body)).body.code).toBe(0);
  });
});

test('checks come in Kling’s order: shape, model, capability, external id, account, moderation, concurrency', async () => {
  const token = 'api-key-kling-sandbox-not-a-secret-0000000000000000';
  const client = await openSandbox({ slots: 1, taskMs: 60_000, accounts: [{ id: 'a', apiKey: token, units: 2 }] });
  await client.post(legacyPath, { ...v26, external_task_id: 'taken' });
  const bad = { model_name: 'nope', prompt: 5, duration: '7', external_task_id: 'taken' };
  const codeOf = async (body: object) => (await client.post(legacyPath, body)).body;
  expect((await client.send('POST', legacyPath, { body: '{' })).body.code).toBe(1200);
  expect(await codeOf(bad)).toMatchObject({ code: 1201, message: expect.stringContaining('prompt') });
  expect(await codeOf({ ...bad, prompt: 'x' })).toMatchObject({ code: 1203 });
  expect(await codeOf({ ...bad, prompt: 'x', model_name: 'kling-v2-6' })).toMatchObject({
    message: expect.stringContaining('duration'),
  });
  expect(await codeOf({ ...v26, external_task_id: 'taken' })).toMatchObject({
    message: expect.stringContaining('exists'),
  });
  expect(await codeOf({ ...v26, prompt: '[[fault:1301]]' })).toMatchObject({ code: 1102 });

  const full = await openSandbox({ slots: 1, taskMs: 60_000 });
  await full.post(legacyPath, v26);
  expect((await full.post(legacyPath, { ...v26, prompt: '[[fault:1301]]' })).body).toMatchObject({ code: 1301 });
  expect((await full.post(legacyPath, v26)).body).toMatchObject({ code: 1303 });
});

test('generation times are those of the model, divided by the speed', async () => {
  const sandbox = await startSandbox({ speed: 1000 });
  onTestFinished(() => sandbox.close());
  const client = createClient(sandbox.url);
  const answer = await client.post('/text-to-video/kling-3.0-turbo', { prompt: 'x', settings: { duration: 3 } });
  const task = await ended(client, answer.body.data.id);
  const tookMs = task.update_time - task.create_time;
  expect(tookMs).toBeGreaterThanOrEqual(23);
  expect((await client.get('/_sandbox/tasks')).body[0].ends_at - task.create_time).toBeLessThan(34);
});
