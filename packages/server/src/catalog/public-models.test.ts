import { expect, test } from 'vitest';
import * as z from 'zod';
import { models } from './models.ts';
import { publicModel, publicModels } from './public-models.ts';

const usual = { defaultModel: 'kling-2.6', retiredModels: 'accept', generations: null } as const;

test('every row is plain JSON of the documented shape', () => {
  const answer = publicModels(usual);
  expect(z.array(z.strictObject(publicModel.shape)).parse(JSON.parse(JSON.stringify(answer)))).toEqual(answer);
  expect(answer.map(({ id }) => id)).toEqual(models.map(({ id }) => id));
});

test('2.6 shows its modes, sound and the price of every combination', () => {
  const row = publicModels(usual).find(({ id }) => id === 'kling-2.6');
  expect(row).toMatchObject({
    default: true,
    available: true,
    retired: false,
    modes: [
      { mode: 'std', resolution: '720p', sound: [false] },
      { mode: 'pro', resolution: '1080p', sound: [false, true] },
    ],
    durations: [5, 10],
    prompt_characters_max: 2500,
  });
  expect(row?.prices).toEqual([
    { mode: 'std', sound: false, duration: 5, credits: 1.5, cost: { amount: '0.21', currency: 'USD' } },
    { mode: 'std', sound: false, duration: 10, credits: 3, cost: { amount: '0.42', currency: 'USD' } },
    { mode: 'pro', sound: false, duration: 5, credits: 2.5, cost: { amount: '0.35', currency: 'USD' } },
    { mode: 'pro', sound: false, duration: 10, credits: 5, cost: { amount: '0.70', currency: 'USD' } },
    { mode: 'pro', sound: true, duration: 5, credits: 5, cost: { amount: '0.70', currency: 'USD' } },
    { mode: 'pro', sound: true, duration: 10, credits: 10, cost: { amount: '1.40', currency: 'USD' } },
  ]);
});

test('what the credentials cannot reach, or the operator refuses, is not available', () => {
  const available = (options: Partial<Parameters<typeof publicModels>[0]>) =>
    publicModels({ ...usual, ...options })
      .filter((model) => model.available)
      .map(({ id }) => id);
  expect(available({})).toHaveLength(8);
  expect(available({ generations: ['legacy'] })).not.toContain('kling-3.0-turbo');
  expect(available({ generations: ['legacy'] })).toHaveLength(7);
  expect(available({ retiredModels: 'refuse' })).toEqual([
    'kling-3.0-turbo',
    'kling-3.0',
    'kling-2.6',
    'kling-2.5-turbo',
  ]);
});

test('the prompt limit is the one that the credentials reach', () => {
  const limit = (generations: readonly ('legacy' | 'standard')[] | null, name: string) =>
    publicModels({ ...usual, generations }).find(({ id }) => id === name)?.prompt_characters_max;
  expect(limit(null, 'kling-3.0')).toBe(3072);
  expect(limit(['legacy'], 'kling-3.0')).toBe(2500);
  expect(limit(['legacy'], 'kling-3.0-turbo')).toBe(3072);
  expect(limit(null, 'kling-v2-master')).toBe(2500);
});

test('a default given by alias is marked', () => {
  const marked = publicModels({ ...usual, defaultModel: 'kling-v3' }).filter((model) => model.default);
  expect(marked.map(({ id }) => id)).toEqual(['kling-3.0']);
});

test('a retired model names its successor', () => {
  const row = publicModels(usual).find(({ id }) => id === 'kling-v2-master');
  expect(row).toMatchObject({ retired: true, successor: 'kling-2.6' });
});
