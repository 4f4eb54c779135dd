import { describe, expect, test } from 'vitest';
import { InputError, type Mistake } from '../kernel/errors.ts';
import { validateRequest, type ValidationOptions } from './validate.ts';

const usual: ValidationOptions = { defaultModel: 'kling-2.6', retiredModels: 'accept', generations: null };

function accept(body: unknown, options: Partial<ValidationOptions> = {}) {
  return validateRequest(body, { ...usual, ...options });
}

function refuse(body: unknown, options: Partial<ValidationOptions> = {}): { code: string; errors: readonly Mistake[] } {
  try {
    accept(body, options);
  } catch (error) {
    if (error instanceof InputError) return { code: error.code, errors: error.data.errors ?? [] };
    throw error;
  }
  throw new Error('the request was accepted');
}

const prompt = 'a red fox running through fresh snow';

describe('what is filled in', () => {
  test('a prompt alone is enough', () => {
    expect(accept({ prompt })).toEqual({
      request: {
        product: 'text2video',
        model: 'kling-2.6',
        mode: 'std',
        duration: 5,
        aspect_ratio: '16:9',
        sound: false,
        prompt,
        negative_prompt: null,
        cfg_scale: null,
        multi_shot: null,
        shots: null,
        camera_control: null,
        watermark: false,
      },
      extras: { metadata: {}, priority: 0, webhookUrl: null, startBefore: null },
      warnings: [],
      needs: null,
    });
  });

  test('the request of the reference architecture means what it meant there, with a warning', () => {
    const { request, warnings, needs } = accept({ prompt, model: 'kling-v2-master', duration: 5, mode: 'standard' });
    expect(request).toMatchObject({ model: 'kling-v2-master', mode: null, duration: 5 });
    expect(warnings.map(({ code }) => code)).toEqual(['model_retired', 'mode_ignored']);
    expect(warnings[0]?.message).toContain('kling-2.6');
    expect(needs).toBe('legacy');
  });

  test('the default model can be given by alias', () => {
    expect(accept({ prompt }, { defaultModel: 'kling-v3' }).request.model).toBe('kling-3.0');
  });

  test.each([
    [{ mode: 'standard' }, { mode: 'std' }],
    [{ mode: 'professional' }, { mode: 'pro' }],
    [{ mode: 'PRO' }, { mode: 'pro' }],
    [{ mode: '4K', model: 'kling-3.0' }, { mode: '4k' }],
    [{ duration: '10' }, { duration: 10 }],
    [{ sound: 'off' }, { sound: false }],
    [{ sound: 'on', mode: 'pro' }, { sound: true }],
    [{ model: 'kling-3.0-turbo' }, { sound: true, mode: 'std' }],
    [{ model: 'kling-v1' }, { cfg_scale: 0.5 }],
    [{ model: 'kling-v1', cfg_scale: 0 }, { cfg_scale: 0 }],
    [{ model: 'kling-v2-1-master', mode: 'pro' }, { mode: null }],
    [{ negative_prompt: '  ' }, { negative_prompt: null }],
    [{ model: 'kling-3.0', multi_shot: true }, { multi_shot: 'intelligence' }],
    [{ model: 'kling-3.0', multi_shot: false }, { multi_shot: null }],
    [
      { mode: null, duration: null, sound: null, shots: null, metadata: null },
      { mode: 'std', duration: 5 },
    ],
  ])('%j becomes %j', (body, expected) => {
    expect(accept({ prompt, ...body }).request).toMatchObject(expected);
  });

  test('shots last as long as the video and replace the prompt', () => {
    const shots = [
      { prompt: 'a fox wakes', duration: 3 },
      { prompt: 'it runs', duration: 4 },
    ];
    const expected = { prompt: null, multi_shot: 'customize', shots, duration: 7 };
    expect(accept({ model: 'kling-3.0', shots }).request).toMatchObject(expected);
    expect(accept({ model: 'kling-3.0', shots, multi_shot: true, duration: 7 }).request).toMatchObject(expected);
    expect(accept({ model: 'kling-3.0-turbo', shots, multi_shot: 'customize' }).request).toMatchObject(expected);
  });

  test('what Dailies keeps for itself is beside the request', () => {
    const extras = accept({
      prompt,
      metadata: { shot: '12a' },
      priority: -3,
      webhook_url: 'https://studio.example/hook?x=1',
      start_before: '2030-01-31T18:00:00+02:00',
    }).extras;
    expect(extras).toEqual({
      metadata: { shot: '12a' },
      priority: -3,
      webhookUrl: 'https://studio.example/hook?x=1',
      startBefore: '2030-01-31T16:00:00.000Z',
    });
  });

  test.each(['http://localhost:3000/h', 'http://127.0.0.1/h', 'http://[::1]:1/h', 'http://app.localhost/'])(
    'a hook on this machine may be plain: %s',
    (url) => {
      expect(accept({ prompt, webhook_url: url }).extras.webhookUrl).toBe(url);
    },
  );
});

describe('which generation a request needs', () => {
  test.each([
    [{}, null],
    [{ model: 'kling-3.0' }, null],
    [{ model: 'kling-3.0-turbo' }, 'standard'],
    [{ model: 'kling-v1-6' }, 'legacy'],
    [{ negative_prompt: 'rain' }, 'legacy'],
    [{ model: 'kling-3.0', prompt: 'w'.repeat(2501) }, 'standard'],
  ])('%j: %s', (body, needs) => {
    expect(accept({ prompt, ...body }).needs).toBe(needs);
  });

  test.each([
    [{ model: 'kling-3.0-turbo' }, '/model'],
    [{ model: 'kling-3.0', prompt: 'w'.repeat(2501) }, '/prompt'],
  ])('%j without an API key is refused and says so', (body, pointer) => {
    const { errors } = refuse({ prompt, ...body }, { generations: ['legacy'] });
    expect(errors).toEqual([{ pointer, detail: expect.stringContaining('API key (KLING_API_KEY)') }]);
    expect(accept({ prompt, ...body }, { generations: ['standard', 'legacy'] }).needs).toBe('standard');
  });

  test('inputs that no single API takes together are refused by both reasons', () => {
    const { errors } = refuse({ model: 'kling-3.0', prompt: 'w'.repeat(2501), negative_prompt: 'rain' });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ pointer: '/negative_prompt', detail: expect.stringMatching(/2500 .*2501/) });
  });

  test('shots of 3.0 Turbo must fit its grammar', () => {
    const semicolon = refuse({ model: 'kling-3.0-turbo', shots: [{ prompt: 'a; b', duration: 5 }] });
    expect(semicolon.errors).toEqual([{ pointer: '/shots', detail: expect.stringContaining('semicolons') }]);
    const long = Array.from({ length: 6 }, () => ({ prompt: 'w'.repeat(512), duration: 2 }));
    expect(refuse({ model: 'kling-3.0-turbo', shots: long }).errors[0]?.detail).toContain('3072');
  });
});

describe('retired models', () => {
  test.each(['kling-v1', 'kling-v1-6', 'kling-v2-master', 'kling-v2-1-master'])(
    '%s is refused by its successor where the operator wants that',
    (model) => {
      const { errors } = refuse({ prompt, model }, { retiredModels: 'refuse' });
      expect(errors).toEqual([{ pointer: '/model', detail: expect.stringContaining('"kling-2.6"') }]);
      expect(accept({ prompt, model }).warnings).toMatchObject([{ code: 'model_retired' }]);
    },
  );

  test('so is a retired default', () => {
    expect(refuse({ prompt }, { defaultModel: 'kling-v2-master', retiredModels: 'refuse' }).errors[0]?.pointer).toBe(
      '/model',
    );
  });
});

describe('mistakes', () => {
  test('all are named at once', () => {
    const { code, errors } = refuse({
      prompt: ' ',
      promt: 'x',
      mode: '4k',
      duration: 7,
      aspect_ratio: '4:3',
      cfg_scale: 2,
      priority: 'high',
      webhook_url: 'ftp://x',
      metadata: { 'a/b~c': 7 },
    });
    expect(code).toBe('invalid_request');
    expect(errors.map(({ pointer }) => pointer).toSorted()).toEqual([
      '/aspect_ratio',
      '/cfg_scale',
      '/duration',
      '/metadata/a~1b~0c',
      '/mode',
      '/priority',
      '/prompt',
      '/promt',
      '/webhook_url',
    ]);
  });

  test('an unknown model does not hide the others', () => {
    const { errors } = refuse({ prompt: '', model: 'kling-2.7', priority: 11 });
    expect(errors.map(({ pointer }) => pointer).toSorted()).toEqual(['/model', '/priority', '/prompt']);
  });

  test('a prompt longer than any model takes is seen although the model is unknown', () => {
    const { errors } = refuse({ model: 'x', prompt: 'w'.repeat(3073) });
    expect(errors.map(({ pointer }) => pointer)).toEqual(['/model', '/prompt']);
  });

  test('there is an end to naming them', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`field${index}`, 1]));
    const metadata = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`key${index}`, 1]));
    expect(refuse({ prompt, ...many, metadata }).errors.length).toBeLessThan(60);
    expect(refuse({ prompt, ['k'.repeat(50_000)]: 1 }).errors).toMatchObject([{ pointer: '' }]);
  });

  test.each([[[]], ['text'], [null], [5], [undefined]])('a body %j is no object', (body) => {
    expect(refuse(body).errors).toEqual([{ pointer: '', detail: expect.stringContaining('JSON object') }]);
  });

  test('a limit counts what people see as characters, and names both numbers', () => {
    expect(accept({ prompt: '🦊'.repeat(2500) }).request.prompt).toHaveLength(5000);
    expect(refuse({ prompt: '🦊'.repeat(2501) }).errors).toEqual([
      { pointer: '/prompt', detail: expect.stringMatching(/2501 .*2500/) },
    ]);
  });

  test.each([
    ['promt', 'prompt'],
    ['aspectRatio', 'aspect_ratio'],
    ['negativePrompt', 'negative_prompt'],
    ['webhookUrl', 'webhook_url'],
    ['durations', 'duration'],
    ['Mode', 'mode'],
    ['model_name', 'model'],
    ['seconds', 'duration'],
    ['size', 'aspect_ratio'],
    ['resolution', 'mode'],
    ['n', 'one request for each video'],
    ['callback_url', 'webhook_url'],
    ['callbackUrl', 'Dailies calls itself'],
    ['external_task_id', 'Idempotency-Key'],
    ['generate_audio', 'sound'],
    ['multi_prompt', 'shots'],
    ['watermark_info', 'watermark'],
    ['settings', 'flat'],
    ['seed', 'leave it out'],
    ['zzzzzzzz', 'known are prompt'],
    ['__proto__', 'leave it out'],
    ['constructor', 'leave it out'],
  ])('unknown field %s leads to %s', (field, hint) => {
    const body = JSON.parse(`{"prompt": "a fox", "${field}": 1}`);
    expect(refuse(body).errors).toEqual([{ pointer: `/${field}`, detail: expect.stringContaining(hint) }]);
  });

  test.each([
    [{ shots: [{ prompt: 'a', duration: 5, index: 1 }], model: 'kling-3.0' }, '/shots/0/index', 'prompt and duration'],
    [
      { prompt, model: 'kling-v1', camera_control: { type: 'simple', config: { zoon: 1 } } },
      '/camera_control/config/zoon',
      '`zoom`',
    ],
    [{ prompt, model: 'kling-v1', camera_control: { typ: 'simple' } }, '/camera_control/typ', '`type`'],
  ])('unknown parts of a field are named too: %j', (body, pointer, hint) => {
    expect(refuse(body).errors).toContainEqual({ pointer, detail: expect.stringContaining(hint) });
  });
});

describe('other products', () => {
  test.each([
    'image',
    'image_tail',
    'images',
    'imageUrl',
    'video',
    'video_list',
    'element_list',
    'voice_list',
    'static_mask',
    'contents',
    'character_orientation',
  ])('field %s is an input of a product that is not there yet, not an unknown field', (field) => {
    const { code, errors } = refuse({ prompt, [field]: 'x', duration: 7 });
    expect(code).toBe('unsupported_product');
    expect(errors).toContainEqual({ pointer: `/${field}`, detail: expect.stringContaining('not available yet') });
    expect(errors).toContainEqual({ pointer: '/duration', detail: expect.stringContaining('5 or 10') });
  });

  test.each([
    'kling-3.0-omni',
    'kling-v3-omni',
    'kling-o1',
    'kling-video-o1',
    'kling-v1-5',
    'kling-v2-1',
    'kling-v2.6-i2v',
  ])('model %s makes something else, and the answer says what to choose', (model) => {
    const { code, errors } = refuse({ prompt, model });
    expect(code).toBe('unsupported_product');
    expect(errors).toEqual([{ pointer: '/model', detail: expect.stringContaining('kling-2.6') }]);
  });

  test('product image2video is not there yet; text2video may be said', () => {
    expect(refuse({ prompt, product: 'image2video' }).code).toBe('unsupported_product');
    expect(accept({ prompt, product: 'text2video' }).request.product).toBe('text2video');
  });
});
