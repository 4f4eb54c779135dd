import { describe, expect, test } from 'vitest';
import { creditsToCost, creditsToString } from '../kernel/money.ts';
import { models } from './models.ts';
import { priceOf } from './price.ts';
import type { Mode } from './request.ts';

type Cells = Readonly<Record<number, string>>;

/** Kling's price page of September 2026: units per duration. */
const perSecond: readonly (readonly [string, Mode, boolean, Cells])[] = [
  ['kling-3.0-turbo', 'std', true, { 3: '2.4', 5: '4', 10: '8', 15: '12' }],
  ['kling-3.0-turbo', 'pro', true, { 3: '3', 5: '5', 10: '10', 15: '15' }],
  ['kling-3.0', 'std', false, { 3: '1.8', 5: '3', 10: '6', 15: '9' }],
  ['kling-3.0', 'pro', false, { 3: '2.4', 5: '4', 10: '8', 15: '12' }],
  ['kling-3.0', 'std', true, { 3: '2.7', 5: '4.5', 10: '9', 15: '13.5' }],
  ['kling-3.0', 'pro', true, { 3: '3.6', 5: '6', 10: '12', 15: '18' }],
  ['kling-3.0', '4k', false, { 3: '9', 5: '15', 10: '30', 15: '45' }],
  ['kling-3.0', '4k', true, { 3: '9', 5: '15', 10: '30', 15: '45' }],
  ['kling-2.6', 'std', false, { 5: '1.5', 10: '3' }],
  ['kling-2.6', 'pro', false, { 5: '2.5', 10: '5' }],
  ['kling-2.6', 'pro', true, { 5: '5', 10: '10' }],
  ['kling-2.5-turbo', 'std', false, { 5: '1.5', 10: '3' }],
  ['kling-2.5-turbo', 'pro', false, { 5: '2.5', 10: '5' }],
];

/** Kling's price pages of 2025. */
const perClip: readonly (readonly [string, Mode | null, boolean, Cells])[] = [
  ['kling-v1', 'std', false, { 5: '1', 10: '2' }],
  ['kling-v1', 'pro', false, { 5: '3.5', 10: '7' }],
  ['kling-v1-6', 'std', false, { 5: '2', 10: '4' }],
  ['kling-v1-6', 'pro', false, { 5: '3.5', 10: '7' }],
  ['kling-v2-master', null, false, { 5: '10', 10: '20' }],
  ['kling-v2-1-master', null, false, { 5: '10', 10: '20' }],
];

const cells = [...perSecond, ...perClip].flatMap(([model, mode, sound, row]) =>
  Object.entries(row).map(([duration, units]) => ({ model, mode, sound, duration: Number(duration), units })),
);

test.each(cells)('$model $mode, sound $sound, $duration s costs $units', ({ units, ...part }) => {
  expect(creditsToString(priceOf(part).credits)).toBe(units);
});

test.each([
  ['kling-3.0-turbo', 'std', true, 3, '0.336'],
  ['kling-3.0-turbo', 'pro', true, 15, '2.10'],
  ['kling-3.0', 'std', false, 3, '0.252'],
  ['kling-3.0', 'pro', true, 5, '0.84'],
  ['kling-3.0', '4k', false, 15, '6.30'],
  ['kling-2.6', 'pro', true, 10, '1.40'],
  ['kling-2.5-turbo', 'std', false, 5, '0.21'],
] as const)('%s %s, sound %s, %i s lists at $%s', (model, mode, sound, duration, dollars) => {
  expect(Number(creditsToCost(priceOf({ model, mode, sound, duration }).credits).amount)).toBe(Number(dollars));
});

test('the tables price every row of the catalog', () => {
  const priced = new Set(cells.map(({ model, mode, sound }) => `${model} ${mode} ${sound}`));
  const rows = models.flatMap((model) =>
    model.modes.flatMap((row) => [
      ...(row.silent ? [`${model.id} ${row.mode} false`] : []),
      ...(row.sound ? [`${model.id} ${row.mode} true`] : []),
    ]),
  );
  expect(new Set(rows)).toEqual(priced);
});

describe('the basis says how the price came about', () => {
  test.each([
    [{ model: 'kling-2.6', mode: 'std', sound: false, duration: 5 }, '0.3 credits/s x 5 s'],
    [{ model: 'kling-v2-master', mode: null, sound: false, duration: 10 }, '20 credits per 10 s clip'],
  ] as const)('%j', (part, basis) => {
    expect(priceOf(part).basis).toBe(basis);
  });
});

test('what cannot be made has no price', () => {
  expect(() => priceOf({ model: 'kling-2.6', mode: 'std', sound: true, duration: 5 })).toThrow('no price');
  expect(() => priceOf({ model: 'kling-v1', mode: 'std', sound: false, duration: 7 })).toThrow('no price');
});
