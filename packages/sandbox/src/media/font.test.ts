import { expect, test } from 'vitest';
import { glyphDot, wrapText } from './font.ts';

const dots = (character: string): string =>
  Array.from({ length: 40 }, (_, dot) => (glyphDot(character, dot % 5, Math.floor(dot / 5)) ? '#' : '.')).join('');

test('every printable ASCII character has its own shape', () => {
  const shapes = new Set(Array.from({ length: 95 }, (_, index) => dots(String.fromCharCode(0x20 + index))));
  expect(shapes.size).toBe(95);
  expect(dots(' ')).not.toContain('#');
});

test('a character outside the font is the same empty box, whatever it is', () => {
  const box = dots('\u4f60');
  for (const character of ['\u{1f98a}', '\ud800', '\0', '\u007f', '\uffff', '']) expect(dots(character)).toBe(box);
});

test('text is broken at spaces, long words within, and what does not fit ends in dots', () => {
  expect(wrapText('a red fox in snow', 7, 9)).toEqual(['a red', 'fox in', 'snow']);
  expect(wrapText('abcdefghij kl', 4, 9)).toEqual(['abcd', 'efgh', 'ij', 'kl']);
  expect(wrapText('one two three four', 5, 2)).toEqual(['one', 'tw...']);
  expect(wrapText('', 10, 2)).toEqual([]);
  for (const line of wrapText('\u{1f98a}'.repeat(3000), 20, 6)) expect(Array.from(line).length).toBeLessThanOrEqual(20);
});

test('accents fall back to letters; controls, line ends and direction marks to spaces', () => {
  expect(wrapText('Caf\u00e9\r\n\u202eU\u0308ber \u201cx\u201d \u2014', 40, 2)).toEqual(['Cafe Uber "x" -']);
});
