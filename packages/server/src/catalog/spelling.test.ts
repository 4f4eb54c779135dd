import { describe, expect, test } from 'vitest';
import { editDistance, either, nearestNames, quote } from './spelling.ts';

test.each([
  ['', '', 0],
  ['prompt', 'promt', 1],
  ['prompt', 'porompt', 1],
  ['prompt', 'pormpt', 1],
  ['mode', 'node', 1],
  ['mode', 'model', 1],
  ['kitten', 'sitting', 3],
  ['', 'abc', 3],
])('from %j to %j are %i letters', (left, right, distance) => {
  expect(editDistance(left, right)).toBe(distance);
  expect(editDistance(right, left)).toBe(distance);
});

test('case, hyphens and underscores make no distance', () => {
  expect(nearestNames('aspectRatio', ['prompt', 'aspect_ratio'])).toEqual(['aspect_ratio']);
});

test('nothing near is nothing named', () => {
  expect(nearestNames('zebra', ['prompt', 'mode'])).toEqual([]);
});

describe('values shown back to the user', () => {
  test('are escaped and cut', () => {
    expect(quote('a\u0000"')).toBe('"a\\u0000\\""');
    expect(quote('x'.repeat(10_000)).length).toBeLessThan(70);
    expect(quote('🦊'.repeat(100)).isWellFormed()).toBe(true);
  });
});

test('lists read like a sentence', () => {
  expect([either([]), either([5]), either([5, 10]), either(['a', 'b', 'c'], 'and')]).toEqual([
    '',
    '5',
    '5 or 10',
    'a, b and c',
  ]);
});
