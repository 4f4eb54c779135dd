import { describe, expect, test } from 'vitest';
import { findModel, getMode, getModel, hasSoundSwitch, modelIds, models, nearestModels } from './models.ts';

describe('the rows', () => {
  test('every text-to-video model of Kling has one, newest first', () => {
    expect(modelIds()).toEqual([
      'kling-3.0-turbo',
      'kling-3.0',
      'kling-2.6',
      'kling-2.5-turbo',
      'kling-v2-1-master',
      'kling-v2-master',
      'kling-v1-6',
      'kling-v1',
    ]);
  });

  test('no name means two models', () => {
    const names = models.flatMap((model) => [model.id, ...model.aliases]);
    expect(new Set(names).size).toBe(names.length);
  });

  test.each(models.map((model) => [model.id, model] as const))('%s is complete in itself', (_id, model) => {
    expect(Object.values(model.wireNames).some((name) => name !== null)).toBe(true);
    for (const name of Object.values(model.wireNames)) if (name !== null) expect(findModel(name)).toBe(model);
    expect(model.durations).toContain(model.durationDefault);
    for (const row of model.modes) {
      const prices = [row.silent, row.sound].filter((price) => price !== null);
      expect(prices.length).toBeGreaterThan(0);
      for (const price of prices) {
        if (price.per === 'clip') expect([...price.credits.keys()]).toEqual(model.durations);
      }
    }
    if (model.modes.some((row) => row.mode === null)) expect(model.modes.length).toBe(1);
    if (model.retired) expect(getModel(model.retired.successor).retired).toBeNull();
    if (model.wireNames.legacy === null) expect(model.negativePrompt || model.cfgScale).toBe(false);
  });

  test('only the models that Kling was seen to refuse are retired', () => {
    expect(modelIds((model) => model.retired !== null)).toEqual([
      'kling-v2-1-master',
      'kling-v2-master',
      'kling-v1-6',
      'kling-v1',
    ]);
  });

  test('sound is a choice exactly where the wire has a field for it', () => {
    expect(modelIds(hasSoundSwitch)).toEqual(['kling-3.0', 'kling-2.6']);
  });
});

describe('names', () => {
  test.each([
    ['kling-v2-6', 'kling-2.6'],
    ['kling-v2.6', 'kling-2.6'],
    ['Kling 2.6', 'kling-2.6'],
    ['KLING_V2_6', 'kling-2.6'],
    ['kling-v2.6-t2v', 'kling-2.6'],
    ['kling-v3', 'kling-3.0'],
    ['kling-v3.0-t2v', 'kling-3.0'],
    ['kling-3', 'kling-3.0'],
    ['kling-v3-turbo', 'kling-3.0-turbo'],
    ['kling-v2-5-turbo', 'kling-2.5-turbo'],
    ['kling-v2.5-turbo', 'kling-2.5-turbo'],
    ['kling-v2.1-master', 'kling-v2-1-master'],
    ['kling-2.0-master', 'kling-v2-master'],
    ['kling-v1.6', 'kling-v1-6'],
    ['kling-1.0', 'kling-v1'],
  ])('%s means %s', (name, id) => {
    expect(findModel(name)?.id).toBe(id);
  });

  test.each(['kling-o1', 'kling-v3-omni', 'kling-v1-5', 'kling-v2-1', '2.6', 'constructor', '__proto__', ''])(
    '%j means no text-to-video model',
    (name) => {
      expect(findModel(name)).toBeUndefined();
      expect(() => getModel(name)).toThrow(/kling-2\.6/);
    },
  );

  test('a misspelt name finds its neighbours, the nearest first; nonsense finds none', () => {
    expect(nearestModels('klnig-v2-6')[0]).toBe('kling-2.6');
    expect(nearestModels('kling-2.5-tubro')[0]).toBe('kling-2.5-turbo');
    expect(nearestModels('sora')).toEqual([]);
    expect(nearestModels('k'.repeat(100_000))).toEqual([]);
  });

  test('a mode that a model does not have is a bug', () => {
    expect(() => getMode({ model: 'kling-2.6', mode: '4k' })).toThrow('no mode 4k');
  });
});
